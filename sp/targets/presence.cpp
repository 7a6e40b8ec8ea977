#include "sp/targets/presence.h"

#include "sp/tree/settings.h"

namespace lom {

enum class SeatWord { ask, give, keep };
template <>
struct Names<SeatWord> {
    static constexpr const char* all[] = {"ask", "give", "keep"};
    static constexpr const char* docs[] = {"You ask the writer for the keyboard.",
                                           "You let whoever asks have it.", "You keep it."};
};

namespace {

Result<std::string> say(SeatRequest& seat, SeatWord word, const Caller& caller) {
    switch (word) {
    case SeatWord::ask:
        return seat.ask(caller.session, caller.account + " (" + caller.source + ")");
    case SeatWord::give:
        return seat.give(caller.session);
    case SeatWord::keep:
        return seat.keep(caller.session);
    }
    return Fault{FaultKind::internal, "An unknown word."};
}

std::vector<std::string> names_of(const std::vector<Presence::Person>& people) {
    std::vector<std::string> names;
    for (const Presence::Person& person : people)
        names.push_back(person.who + (person.writer      ? " writes"
                                      : person.may_write ? " may write"
                                                         : " looks"));
    return names;
}

std::string writer_of(const std::vector<Presence::Person>& people) {
    for (const Presence::Person& person : people)
        if (person.writer)
            return person.who;
    return {};
}

} // namespace

void add_presence(Target& target, Presence presence) {
    SeatRequest& seat = presence.seat;
    const auto people = std::move(presence.people);
    target.shows<std::string>("asked_by", "Who asks for the keyboard; the writer sets seat.",
                              [&seat] { return seat.who(); });
    target.managed<SeatWord>(
        {.name = "seat",
         .doc = "Set to ask for the keyboard, or, as who has it, to give or keep it; without an "
                "answer it is given after 30 seconds.",
         .write = Role::console,
         .set = [&seat](const Caller& caller, SeatWord word, const Property::Done& done) {
             const auto said = say(seat, word, caller);
             done(said ? Result<SetOutcome>(SetOutcome{*said}) : said.fault());
         }});
    target.shows<std::vector<std::string>>("viewers", "Who looks, and who writes.",
                                           [people] { return names_of(people()); });
    target.shows<std::string>("writer", "Who has the keyboard.",
                              [people] { return writer_of(people()); });
    target.shows<std::string>("writer_session", "The session in /SP/sessions of who has it.",
                              [people] { return holder_of(people()); });
}

} // namespace lom
