#include "web/redfish/shared_reads.h"

#include "web/redfish/messages.h"

#include <exception>
#include <iostream>

namespace lom::web {

namespace {

Response copy_of(const Response& response) {
    Response copy;
    copy.status = response.status;
    copy.headers = response.headers;
    copy.shared_body = response.shared_body;
    return copy;
}

/// Whoever waits must hear something, whatever happens.
Task<Response> read_safely(const SharedReads::Read& read) {
    try {
        auto response = co_await read();
        co_return std::move(response);
    } catch (const std::exception& error) {
        std::cerr << "lom-web: " << error.what() << "\n";
    }
    const Message message{"InternalError", {}};
    co_return error_response(500, message);
}

} // namespace

Task<Response> SharedReads::answer(std::string key, Read read) {
    std::vector<Waiter> others;
    if (const auto under_way = waiting_.find(key); under_way != waiting_.end()) {
        auto turn = later<Shared>(
            [under_way](Waiter waiter) { under_way->second.push_back(std::move(waiter)); });
        const Shared answer = co_await turn;
        if (answer && answer->status < 400)
            co_return copy_of(*answer);
        if (answer) { // perhaps the reader's own trouble: its session has just ended
            Response own = co_await read_safely(read);
            co_return own;
        }
        others.swap(waiting_[key]);
    } else {
        waiting_.emplace(key, std::vector<Waiter>());
    }
    Response response = co_await read_safely(read);
    response.shared_body = std::make_shared<const std::string>(std::move(response.body));
    response.body.clear();
    const auto shared = std::make_shared<const Response>(copy_of(response));
    for (const Waiter& other : others)
        other(shared);
    const auto mine = waiting_.find(key);
    if (mine->second.empty()) {
        waiting_.erase(mine);
    } else {
        const Waiter next = std::move(mine->second.front());
        mine->second.erase(mine->second.begin());
        next(nullptr);
    }
    co_return response;
}

} // namespace lom::web
