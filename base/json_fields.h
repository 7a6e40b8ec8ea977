// Reading JSON that may be hostile: an absent or mistyped field counts as its fallback, and nothing
// throws. The one header with a third-party include: only .cpp files that use Boost.JSON take it.
#pragma once

#include <boost/json.hpp>

#include <string>

namespace lom::fields {

inline std::string text(const boost::json::object& object, const char* name) {
    const boost::json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

inline bool flag(const boost::json::object& object, const char* name, bool fallback = false) {
    const boost::json::value* value = object.if_contains(name);
    return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

/// A whole number that fits T.
template <typename T>
T number(const boost::json::object& object, const char* name, T fallback = 0) {
    const boost::json::value* value = object.if_contains(name);
    boost::system::error_code error;
    const T result = value == nullptr ? fallback : value->to_number<T>(error);
    return error ? fallback : result;
}

inline const boost::json::array& list(const boost::json::object& object, const char* name) {
    static const boost::json::array none;
    const boost::json::value* value = object.if_contains(name);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

inline const boost::json::object* member(const boost::json::object& object, const char* name) {
    const boost::json::value* value = object.if_contains(name);
    return value == nullptr ? nullptr : value->if_object();
}

} // namespace lom::fields
