// Where persistent properties keep their values; sp/state implements it. Loop thread only.
#pragma once

#include "sp/tree/value.h"

#include <optional>
#include <string>
#include <utility>

namespace lom {

class Settings {
  public:
    virtual ~Settings() = default;
    virtual std::optional<std::string> load(const std::string& key) const = 0;
    /// Durable when it returns without a fault.
    virtual Result<void> store(const std::string& key, const std::string& value) = 0;
};

/// One stored value. Its owner is the component that acts on it; the tree only shows and sets it.
template <typename T>
class Setting {
  public:
    /// A stored value that no longer parses (from another version) counts as absent.
    Setting(Settings& settings, std::string key, T fallback)
        : settings_(settings), key_(std::move(key)), value_(std::move(fallback)) {
        if (const auto text = settings_.load(key_))
            if (const auto value = Codec<T>::type().parse(*text))
                value_ = Codec<T>::unwrap(*value);
    }

    const T& operator*() const { return value_; }
    const T* operator->() const { return &value_; }

    Result<void> set(T value) {
        const auto stored = settings_.store(key_, Codec<T>::type().print(Codec<T>::wrap(value)));
        if (stored)
            value_ = std::move(value);
        return stored;
    }

  private:
    Settings& settings_;
    std::string key_;
    T value_;
};

} // namespace lom
