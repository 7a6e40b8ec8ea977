// Lines of JSON over a stream, with descriptors beside them: what lomd and lom-kvm tell each other.
// Only .cpp files that use Boost.JSON take it.
#pragma once

#include "base/fd.h"

#include <boost/json.hpp>

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

class JsonLines {
  public:
    static constexpr std::size_t longest_line = 4U << 20U;
    static constexpr std::size_t most_fds = 64; ///< that wait for their messages
    using Handler = std::function<void(const boost::json::object&)>;

    explicit JsonLines(Handler handler) : handler_(std::move(handler)) {}

    /// False: more than a peer that means well would send; the stream is out of step.
    bool feed(std::string_view bytes, std::vector<UniqueFd> fds) {
        for (UniqueFd& fd : fds)
            fds_.push_back(std::move(fd));
        for (std::size_t end; (end = bytes.find('\n')) != std::string_view::npos;) {
            line_ += bytes.substr(0, end);
            bytes.remove_prefix(end + 1);
            boost::system::error_code error;
            const boost::json::value value = boost::json::parse(line_, error);
            line_.clear();
            if (const auto* object = error ? nullptr : value.if_object())
                handler_(*object);
        }
        line_ += bytes;
        return line_.size() <= longest_line && fds_.size() <= most_fds;
    }

    /// The descriptor that came with the message at hand: messages that carry one take it, in
    /// order.
    UniqueFd take_fd() {
        if (fds_.empty())
            return {};
        UniqueFd fd = std::move(fds_.front());
        fds_.pop_front();
        return fd;
    }

  private:
    Handler handler_;
    std::string line_;
    std::deque<UniqueFd> fds_;
};

} // namespace lom::kvms
