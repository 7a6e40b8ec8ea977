// What can go wrong is a value: Result<T> is either a T or a Fault. Exceptions are for bugs and
// exhausted memory only. Standard library only; any thread.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace lom {

/// Outcomes that each door maps to its own words and codes (shell exit status, HTTP status, ...).
enum class FaultKind {
    usage,         ///< the request itself is malformed
    invalid_value, ///< a property value that its type or check refuses
    not_found,     ///< no such target or property
    denied,        ///< the account lacks the role, or credentials are wrong
    wrong_state,   ///< not possible now (already started, host is on, ...)
    busy,          ///< somebody else holds it
    unavailable,   ///< a thing outside did not answer or is missing
    internal,      ///< our own failure (disk full, broken invariant)
};

/// `message` is a sentence for the user: what is wrong and, where there is one, what to do next.
struct Fault {
    FaultKind kind = FaultKind::internal;
    std::string message;
};

template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Fault fault) : state_(std::in_place_index<1>, std::move(fault)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }
    T& operator*() & { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const Fault& fault() const { return std::get<1>(state_); }

  private:
    std::variant<T, Fault> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Fault fault) : fault_(std::move(fault)), ok_(false) {}

    explicit operator bool() const { return ok_; }
    const Fault& fault() const { return fault_; }

  private:
    Fault fault_;
    bool ok_ = true;
};

} // namespace lom
