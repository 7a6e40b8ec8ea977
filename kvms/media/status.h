// The words in which lom-media says how its image is, and what went wrong. lomd shows them as the
// `status` property, so the strings are part of the contract. Standard library only; any thread.
#pragma once

#include <string>
#include <string_view>

namespace lom::media {

enum class Status {
    connecting,
    operational,
    unknown_host,
    connection_refused,
    unreachable,
    login_refused,
    host_key_changed,
    no_such_file,
    permission_denied,
    not_a_regular_file,
    too_short,
    reconnecting,
    stalled,
    image_changed,
    invalid_uri,
    not_allowed,
    failed,
};

constexpr std::string_view word(Status status) {
    switch (status) {
    case Status::connecting:
        return "connecting";
    case Status::operational:
        return "operational";
    case Status::unknown_host:
        return "unknown host";
    case Status::connection_refused:
        return "connection refused";
    case Status::unreachable:
        return "unreachable";
    case Status::login_refused:
        return "login refused";
    case Status::host_key_changed:
        return "host key changed";
    case Status::no_such_file:
        return "no such file";
    case Status::permission_denied:
        return "permission denied";
    case Status::not_a_regular_file:
        return "not a regular file";
    case Status::too_short:
        return "too short";
    case Status::reconnecting:
        return "reconnecting";
    case Status::stalled:
        return "stalled";
    case Status::image_changed:
        return "image changed";
    case Status::invalid_uri:
        return "invalid URI";
    case Status::not_allowed:
        return "not allowed";
    case Status::failed:
        return "failed";
    }
    return "failed";
}

/// The status of that word; failed for any other.
constexpr Status status_of(std::string_view text) {
    for (int i = 0; i < static_cast<int>(Status::failed); ++i)
        if (word(static_cast<Status>(i)) == text)
            return static_cast<Status>(i);
    return Status::failed;
}

/// Why a source cannot serve. `detail` is a sentence with the remedy, if there is one.
struct Problem {
    Status status = Status::failed;
    std::string detail;
    bool transient = false; ///< worth trying again soon; the others could lock an account
};

} // namespace lom::media
