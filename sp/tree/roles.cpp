#include "sp/tree/roles.h"

#include "sp/tree/value.h"

namespace lom {

namespace {

constexpr std::string_view all_letters = "aucros";

} // namespace

std::string Roles::letters() const {
    std::string text;
    for (std::size_t i = 0; i < all_letters.size(); ++i)
        if (mask_ & (1U << i))
            text += all_letters[i];
    return text;
}

Result<Roles> Roles::parse(std::string_view text) {
    if (equal_ignoring_case(text, "administrator"))
        text = "aucro";
    else if (equal_ignoring_case(text, "operator"))
        text = "cro";
    Roles roles;
    for (const char letter : text) {
        const std::size_t index = all_letters.find(letter);
        if (index == std::string_view::npos)
            return Fault{
                FaultKind::invalid_value,
                "A role is made of the letters a (admin), u (user management), c (console), "
                "r (reset and host control), o (read-only) and s (service), or is "
                "Administrator or Operator."};
        roles = roles | Roles(static_cast<Role>(1U << index));
    }
    if (roles.empty())
        return Fault{FaultKind::invalid_value,
                     "An account needs at least one role; o is read-only."};
    return roles;
}

} // namespace lom
