// The tree of a lomd at the other end of a control connection, which may restart at any time: a
// read is then simply done again, a write is reported as uncertain. One thread; blocks up to
// `patience` while lomd is away.
#pragma once

#include "shell/tree.h"
#include "sp/control/client.h"

#include <chrono>
#include <functional>
#include <string_view>

namespace lom::shell {

class RemoteTree final : public Tree {
  public:
    static constexpr std::chrono::seconds patience{30};

    /// `notice` shows the person one line at once, also in the middle of what they type.
    RemoteTree(control::Client client, std::function<void(std::string_view)> notice)
        : client_(std::move(client)), notice_(std::move(notice)) {}

    const control::Hello& hello() const override { return client_.hello(); }
    Result<control::TargetView> show(const std::string& target, int levels) override;
    Result<control::TargetDescription> describe(const std::string& target) override;
    Result<control::SetReply> set(const std::string& target, const std::string& property,
                                  const std::string& value) override;
    Result<control::RunReply> run(const control::RunRequest& request) override;

    /// To poll for readability while idle: readable means lost. -1 after a resume that failed.
    int fd() const { return client_.fd(); }
    bool lost() const;
    /// Waits for lomd to come back and takes the session up again.
    Result<void> recover();
    /// lomd does not know the session any more: it was deleted, or timed out.
    bool ended() const { return ended_; }

  private:
    template <typename Reply, typename Call>
    Result<Reply> with_recovery(bool repeatable, const Call& call);

    control::Client client_;
    std::function<void(std::string_view)> notice_;
    bool ended_ = false;
};

} // namespace lom::shell
