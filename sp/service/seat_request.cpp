#include "sp/service/seat_request.h"

#include <utility>

namespace lom {

Result<std::string> SeatRequest::ask(const std::string& session, const std::string& who) {
    const std::string holder = seat_.holder();
    if (holder == session)
        return Fault{FaultKind::wrong_state, "You have the keyboard already."};
    if (!who_.empty() && session_ != session)
        return Fault{FaultKind::busy, who_ + " asks for the keyboard already; try again soon."};
    if (!seat_.may_have(session))
        return Fault{FaultKind::wrong_state,
                     "Start it first, in the same session; then ask for its keyboard."};
    if (holder.empty()) {
        seat_.give(session);
        return std::string("The keyboard was free, and is yours.");
    }
    session_ = session;
    who_ = who;
    limit_timer_ = loop_.after(limit_, [this] { hand_over(); });
    seat_.changed();
    return "Whoever has the keyboard is asked; no answer within " +
           std::to_string(limit_.count() / 1000) + " seconds gives it to you.";
}

Result<std::string> SeatRequest::give(const std::string& session) {
    if (const auto holds = must_hold(session); !holds)
        return holds.fault();
    const std::string to = who_;
    hand_over();
    return to + " has the keyboard now.";
}

Result<std::string> SeatRequest::keep(const std::string& session) {
    if (const auto holds = must_hold(session); !holds)
        return holds.fault();
    forget();
    return std::string("You keep the keyboard.");
}

void SeatRequest::review() {
    if (who_.empty())
        return;
    const std::string holder = seat_.holder();
    if (holder == session_ || !seat_.may_have(session_))
        forget();
    else if (holder.empty())
        hand_over();
}

Result<void> SeatRequest::must_hold(const std::string& session) const {
    if (who_.empty())
        return Fault{FaultKind::wrong_state, "Nobody asks for the keyboard."};
    if (seat_.holder() != session)
        return Fault{FaultKind::wrong_state, "Somebody else has the keyboard."};
    return {};
}

/// Forgotten before it is given: giving calls review() by way of who watches the seats.
void SeatRequest::hand_over() {
    const std::string session = session_;
    forget();
    seat_.give(session);
}

void SeatRequest::forget() {
    limit_timer_.reset();
    session_.clear();
    who_.clear();
    seat_.changed();
}

} // namespace lom
