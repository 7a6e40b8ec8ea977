#include "shell/remote_tree.h"

#include <poll.h>

namespace lom::shell {

bool RemoteTree::lost() const {
    // Nothing comes unasked, so readable between two calls can only mean the end.
    pollfd entry{client_.fd(), POLLIN, 0};
    return client_.fd() < 0 || poll(&entry, 1, 0) > 0;
}

Result<void> RemoteTree::recover() {
    if (ended_)
        return Fault{FaultKind::denied, "The session has ended; log in again."};
    notice_("The service processor is restarting...");
    auto resumed = client_.resume(patience);
    if (!resumed && resumed.fault().kind == FaultKind::denied) {
        ended_ = true;
        notice_(resumed.fault().message);
    }
    return resumed;
}

template <typename Reply, typename Call>
Result<Reply> RemoteTree::with_recovery(bool repeatable, const Call& call) {
    if (lost())
        if (auto back = recover(); !back)
            return back.fault();
    auto reply = call();
    if (reply || !lost())
        return reply;
    if (auto back = recover(); !back)
        return back.fault();
    if (repeatable)
        return call();
    return Fault{FaultKind::unavailable,
                 "The service processor restarted while the command ran, so it is not known "
                 "whether it was done. Show the target to see."};
}

Result<control::TargetView> RemoteTree::show(const std::string& target, int levels) {
    return with_recovery<control::TargetView>(true, [&] { return client_.show(target, levels); });
}

Result<control::TargetDescription> RemoteTree::describe(const std::string& target) {
    return with_recovery<control::TargetDescription>(true,
                                                     [&] { return client_.describe(target); });
}

Result<control::SetReply> RemoteTree::set(const std::string& target, const std::string& property,
                                          const std::string& value) {
    return with_recovery<control::SetReply>(false,
                                            [&] { return client_.set(target, property, value); });
}

Result<control::RunReply> RemoteTree::run(const control::RunRequest& request) {
    return with_recovery<control::RunReply>(false, [&] { return client_.run(request); });
}

} // namespace lom::shell
