// ILOM's role letters. Standard library only.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace lom {

enum class Role : std::uint8_t {
    admin = 1,      ///< a: configuration of the service processor
    user = 2,       ///< u: accounts and sessions
    console = 4,    ///< c: host console, remote screen and media
    reset = 8,      ///< r: host power and boot control
    read_only = 16, ///< o: show; own password
    service = 32,   ///< s: service functions
};

/// A set of roles: what an account has, or what a deed needs one of.
class Roles {
  public:
    constexpr Roles() = default;
    constexpr Roles(Role role) : mask_(static_cast<std::uint8_t>(role)) {}
    friend constexpr Roles operator|(Roles a, Roles b) {
        a.mask_ = static_cast<std::uint8_t>(a.mask_ | b.mask_);
        return a;
    }
    constexpr bool empty() const { return mask_ == 0; }
    constexpr bool intersects(Roles other) const { return (mask_ & other.mask_) != 0; }
    constexpr bool operator==(const Roles&) const = default;

    std::string letters() const; ///< in ILOM's order, "aucro"
    /// Letters in any order, or Administrator (aucro) or Operator (cro).
    static Result<Roles> parse(std::string_view text);

  private:
    std::uint8_t mask_ = 0;
};

constexpr Roles operator|(Role a, Role b) { return Roles(a) | Roles(b); }

} // namespace lom
