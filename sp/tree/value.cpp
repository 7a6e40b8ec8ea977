#include "sp/tree/value.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace lom {

namespace {

Fault bad_value(std::string message) { return {FaultKind::invalid_value, std::move(message)}; }

std::string join(std::span<const std::string> items, const char* separator) {
    std::string text;
    for (const std::string& item : items)
        text += (text.empty() ? "" : separator) + item;
    return text;
}

Result<Value> parse_string(std::string_view text) {
    const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    });
    if (!printable)
        return bad_value("The value holds a control character; use printable text only.");
    return Value(std::string(text));
}

Result<Value> parse_boolean(std::string_view text) {
    if (equal_ignoring_case(text, "true"))
        return Value(true);
    if (equal_ignoring_case(text, "false"))
        return Value(false);
    return bad_value("Possible values are true and false.");
}

Result<Value> parse_integer(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return bad_value("The value must be a whole number.");
    return Value(number);
}

Result<Value> parse_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        if (comma > 0)
            items.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return Value(std::move(items));
}

} // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

const Type& string_type() {
    static const Type type{"string", {}, parse_string, [](const Value& value) {
                               return std::get<std::string>(value);
                           }};
    return type;
}

const Type& boolean_type() {
    static const Type type{"boolean", {"true", "false"}, parse_boolean, [](const Value& value) {
                               return std::string(std::get<bool>(value) ? "true" : "false");
                           }};
    return type;
}

const Type& integer_type() {
    static const Type type{"integer", {}, parse_integer, [](const Value& value) {
                               return std::to_string(std::get<std::int64_t>(value));
                           }};
    return type;
}

const Type& list_type() {
    static const Type type{"list", {}, parse_list, [](const Value& value) {
                               return join(std::get<std::vector<std::string>>(value), ",");
                           }};
    return type;
}

Type enumeration_type(std::span<const char* const> names, std::span<const char* const> docs) {
    Type type;
    type.name = "enumeration";
    type.values.assign(names.begin(), names.end());
    type.value_docs.assign(docs.begin(), docs.end());
    type.parse = [values = type.values](std::string_view text) -> Result<Value> {
        for (const std::string& value : values)
            if (equal_ignoring_case(value, text))
                return Value(value);
        return bad_value("Possible values are " + join(values, ", ") + ".");
    };
    type.print = [](const Value& value) { return std::get<std::string>(value); };
    return type;
}

} // namespace lom
