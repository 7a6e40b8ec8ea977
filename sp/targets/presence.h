// Who is at a console or a screen, and how its keyboard is asked for: the same properties for both.
// Loop thread only.
#pragma once

#include "sp/service/seat_request.h"
#include "sp/tree/target.h"

#include <functional>
#include <string>
#include <vector>

namespace lom {

struct Presence {
    struct Person {
        std::string who;
        std::string session;
        bool may_write = false;
        bool writer = false;
    };
    SeatRequest& seat;
    std::function<std::vector<Person>()> people;
};

void add_presence(Target& target, Presence presence);

} // namespace lom
