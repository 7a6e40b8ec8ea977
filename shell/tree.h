// What the shell needs of the service processor, so that commands can be run against a fake in
// tests. RemoteTree (remote_tree.h) is the real one. One thread; calls block with a deadline.
#pragma once

#include "sp/control/messages.h"

#include <string>

namespace lom::shell {

class Tree {
  public:
    static constexpr int all_levels = 255;

    virtual ~Tree() = default;

    virtual const control::Hello& hello() const = 0;
    /// `levels` of targets: 1 is the target itself with the names of its children.
    virtual Result<control::TargetView> show(const std::string& target, int levels) = 0;
    virtual Result<control::TargetDescription> describe(const std::string& target) = 0;
    virtual Result<control::SetReply> set(const std::string& target, const std::string& property,
                                          const std::string& value) = 0;
    virtual Result<control::RunReply> run(const control::RunRequest& request) = 0;
};

} // namespace lom::shell
