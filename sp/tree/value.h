// What a property holds, and the types that parse and print it. A type knows how to read a user's
// text and how to print a value; a property never does. Standard library only; any thread.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace lom {

/// nothing (cannot be shown), flag, number, text, list of texts.
using Value =
    std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<std::string>>;

struct Type {
    std::string name;                ///< "string", "integer", "enumeration", ...
    std::vector<std::string> values; ///< of an enumeration, in their canonical spelling
    std::function<Result<Value>(std::string_view text)> parse;
    std::function<std::string(const Value& value)> print; ///< parse(print(v)) == v
    std::vector<std::string> value_docs = {};             ///< one line for each of `values`
};

/// Names of an enumeration's values in order, and what each means; specialise with
/// `static constexpr const char* all[]` and `docs[]`.
template <typename T>
struct Names;

const Type& string_type();
const Type& boolean_type();
const Type& integer_type();
const Type& list_type();
/// Matches case-insensitively; the value is the canonical spelling.
Type enumeration_type(std::span<const char* const> names, std::span<const char* const> docs);

bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Codec<T>: the C++ side of a type.
template <typename T, typename = void>
struct Codec;

template <>
struct Codec<std::string> {
    static const Type& type() { return string_type(); }
    static Value wrap(std::string value) { return value; }
    static std::string unwrap(const Value& value) { return std::get<std::string>(value); }
};

template <>
struct Codec<bool> {
    static const Type& type() { return boolean_type(); }
    static Value wrap(bool value) { return value; }
    static bool unwrap(const Value& value) { return std::get<bool>(value); }
};

template <>
struct Codec<std::int64_t> {
    static const Type& type() { return integer_type(); }
    static Value wrap(std::int64_t value) { return value; }
    static std::int64_t unwrap(const Value& value) { return std::get<std::int64_t>(value); }
};

template <>
struct Codec<std::vector<std::string>> {
    static const Type& type() { return list_type(); }
    static Value wrap(std::vector<std::string> value) { return value; }
    static std::vector<std::string> unwrap(const Value& value) {
        return std::get<std::vector<std::string>>(value);
    }
};

template <typename T>
struct Codec<T, std::enable_if_t<std::is_enum_v<T>>> {
    static const Type& type() {
        static const Type instance = enumeration_type(Names<T>::all, docs());
        return instance;
    }
    static Value wrap(T value) {
        return std::string(Names<T>::all[static_cast<std::size_t>(value)]);
    }
    static T unwrap(const Value& value) {
        std::size_t index = 0;
        while (std::get<std::string>(value) != Names<T>::all[index])
            ++index;
        return static_cast<T>(index);
    }

  private:
    /// A test asks that no enumeration of the tree goes without.
    static std::span<const char* const> docs() {
        if constexpr (requires { Names<T>::docs; }) {
            static_assert(std::size(Names<T>::all) == std::size(Names<T>::docs));
            return Names<T>::docs;
        } else {
            return {};
        }
    }
};

/// The switch of most service properties.
enum class Switch { disabled, enabled };
template <>
struct Names<Switch> {
    static constexpr const char* all[] = {"disabled", "enabled"};
    static constexpr const char* docs[] = {"It is off.", "It is on."};
};

} // namespace lom
