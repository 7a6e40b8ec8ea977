// A request and its response as the rest of lom-web sees them; what carries them is the server's
// business. Standard library only.
#pragma once

#include "base/fd.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lom::web {

struct Request {
    std::string method;
    std::string path; ///< without the query, percent signs decoded
    std::string raw_query;
    std::map<std::string, std::string> query;   ///< decoded
    std::map<std::string, std::string> headers; ///< names in lower case
    std::string body;
    std::string source; ///< the client's address
    bool wants_websocket = false;

    std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string() : found->second;
    }
};

/// A body without an end: the owner pushes, the server's connection takes. A reader that does not
/// read is cut off.
struct Outflow {
    static constexpr std::size_t most_bytes = 1U << 20U;

    void push(std::string chunk) {
        bytes += chunk.size();
        chunks.push_back(std::move(chunk));
        closed = closed || bytes > most_bytes;
        if (wake)
            wake();
    }
    void close() {
        closed = true;
        if (wake)
            wake();
    }

    std::deque<std::string> chunks;
    std::size_t bytes = 0;
    bool closed = false;
    std::function<void()> wake;  ///< set by the connection
    std::function<void()> ended; ///< called by the connection when the reader has gone
};

/// A websocket on a descriptor that lomd handed over.
struct Upgrade {
    enum class Kind { none, console, bytes };
    Kind kind = Kind::none;
    UniqueFd fd;
    std::string first_text;                      ///< sent before anything else; empty: nothing
    std::shared_ptr<bool> cut;                   ///< true: the session ended, close now
    std::function<void()> ended;                 ///< called when the websocket has gone
    std::shared_ptr<std::function<void()>> wake; ///< set by the connection: `cut` has changed
};

struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::shared_ptr<const std::string> shared_body; ///< instead of `body`, for files
    std::shared_ptr<Outflow> flow;                  ///< instead of `body`, for event streams
    Upgrade upgrade;

    Response& with(std::string name, std::string value) & {
        headers.emplace_back(std::move(name), std::move(value));
        return *this;
    }
    Response&& with(std::string name, std::string value) && {
        headers.emplace_back(std::move(name), std::move(value));
        return std::move(*this);
    }
};

/// Percent-decoding; nullopt-like: `fine` becomes false for a bad or a forbidden (NUL) escape.
std::string percent_decoded(std::string_view text, bool plus_is_space, bool& fine);
std::map<std::string, std::string> parse_query(std::string_view text, bool& fine);
std::string base64_decoded(std::string_view text, bool& fine);

} // namespace lom::web
