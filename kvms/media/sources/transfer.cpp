#include "kvms/media/sources/transfer.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lom::media {

namespace {

constexpr std::uint32_t fetch_block = 128U << 10U;
constexpr std::size_t fetch_depth = 64;           // 8 MiB under way: 160 MB/s at 50 ms
constexpr std::uint32_t store_block = 32U << 10U; // what every SFTP server takes
constexpr std::size_t store_depth = 64;
constexpr std::uint32_t first_request = 16; // the source's own are below

Fault failure(std::string sentence) { return {FaultKind::unavailable, std::move(sentence)}; }

Fault too_large(std::uint64_t most) {
    return {FaultKind::invalid_value,
            "The file is larger than the " + std::to_string(most) + " bytes allowed here."};
}

/// Our end of the caller's pipe, which must never hold up the loop. A file is always ready, and
/// epoll does not take one.
class Pipe {
  public:
    Pipe(Loop& loop, int fd, Loop::Wait wait) : loop_(loop), fd_(fd), wait_(wait) {
        struct stat facts {};
        waits_ = fstat(fd, &facts) == 0 && !S_ISREG(facts.st_mode) && !S_ISBLK(facts.st_mode);
        if (waits_)
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    ~Pipe() {
        if (waits_)
            fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) & ~O_NONBLOCK);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    int fd() const { return fd_; }
    void wait(std::function<void()> ready) {
        if (!ready_)
            ready_ = loop_.watch(fd_, wait_, std::move(ready));
    }
    void rest() { ready_.reset(); }

  private:
    Loop& loop_;
    int fd_;
    Loop::Wait wait_;
    bool waits_ = false;
    Loop::Handle ready_;
};

/// What both directions share: one outcome, and then the loop ends.
class Transfer : protected SourceListener {
  public:
    Result<void> run() {
        loop_.run();
        return outcome_ ? *outcome_ : failure("The transfer was interrupted.");
    }

  protected:
    explicit Transfer(Loop& loop) : loop_(loop) {
        for (const int signal : {SIGTERM, SIGINT, SIGHUP})
            signals_.push_back(loop.on_signal(
                signal, [this](int) { finish(failure("The transfer was interrupted.")); }));
    }
    void finish(Result<void> outcome) {
        if (!outcome_)
            outcome_ = std::move(outcome);
        loop_.stop();
    }
    bool finished() const { return outcome_.has_value(); }

    void source_identified(const ServerIdentity&) override {}
    void source_lost(const Problem& problem) override {
        const bool was_open = problem.status == Status::reconnecting; // which we do not
        finish(failure((was_open ? "connection lost" : std::string(word(problem.status))) + ": " +
                       problem.detail));
    }

    Loop& loop_;

  private:
    std::optional<Result<void>> outcome_;
    std::vector<Loop::Handle> signals_;
};

class Fetch final : public Transfer {
  public:
    Fetch(Loop& loop, const OpenSource& open, int to, std::uint64_t most,
          std::function<void(std::uint64_t)> told)
        : Transfer(loop), told_(std::move(told)), most_(most),
          pipe_(loop, to, Loop::Wait::writable) {
        source_ = open(*this);
    }

  private:
    struct Block {
        std::uint32_t request = 0;
        std::uint64_t offset = 0;
        std::uint32_t filled = 0;
        std::vector<char> bytes;
        bool complete() const { return filled == bytes.size(); }
    };

    void source_opened(const ImageFacts& facts) override {
        size_ = facts.size;
        opened_ = true;
        if (size_ > most_)
            finish(too_large(most_));
        else if (told_)
            told_(size_);
    }

    std::span<char> source_room(std::uint32_t request, std::uint32_t length) override {
        Block* block = find(request);
        if (block == nullptr || length > block->bytes.size() - block->filled)
            return {};
        return std::span(block->bytes).subspan(block->filled, length);
    }

    void source_received(std::uint32_t request, std::uint32_t length) override {
        Block* block = find(request);
        if (block == nullptr)
            return;
        if (length == 0) {
            finish(failure("The file became shorter while it was read; try again."));
            return;
        }
        block->filled += length;
        block->request = 0;
        if (!block->complete())
            ask(*block);
    }

    void source_read_failed(std::uint32_t request) override {
        if (find(request) != nullptr)
            finish(failure("The server failed to read the file."));
    }

    void source_ready() override {
        write_out();
        request_more();
    }

    Block* find(std::uint32_t request) {
        const auto found = std::find_if(blocks_.begin(), blocks_.end(), [request](const Block& b) {
            return request != 0 && b.request == request;
        });
        return found == blocks_.end() ? nullptr : &*found;
    }

    void ask(Block& block) {
        block.request = next_request_++;
        source_->read(block.request, block.offset + block.filled,
                      static_cast<std::uint32_t>(block.bytes.size() - block.filled));
    }

    void request_more() {
        while (!finished() && opened_ && asked_ < size_ && blocks_.size() < fetch_depth) {
            Block& block = blocks_.emplace_back();
            block.offset = asked_;
            block.bytes.resize(std::min<std::uint64_t>(fetch_block, size_ - asked_));
            asked_ += block.bytes.size();
            ask(block);
        }
        if (source_ != nullptr)
            source_->flush();
    }

    void write_out() {
        while (!finished() && !blocks_.empty() && blocks_.front().complete()) {
            const Block& block = blocks_.front();
            const ssize_t count =
                ::write(pipe_.fd(), block.bytes.data() + written_, block.bytes.size() - written_);
            if (count < 0 && errno == EINTR)
                continue;
            if (count < 0 && errno == EAGAIN) {
                pipe_.wait([this] { source_ready(); });
                return;
            }
            if (count < 0) {
                finish(failure(std::string("The file cannot be passed on: ") +
                               std::strerror(errno) + "."));
                return;
            }
            written_ += static_cast<std::size_t>(count);
            if (written_ == block.bytes.size()) {
                blocks_.pop_front();
                written_ = 0;
            }
        }
        pipe_.rest();
        if (opened_ && blocks_.empty() && asked_ == size_)
            finish({});
    }

    const std::function<void(std::uint64_t)> told_; ///< the size
    const std::uint64_t most_;
    Pipe pipe_;
    bool opened_ = false;
    std::uint64_t size_ = 0;
    std::uint64_t asked_ = 0;
    std::uint32_t next_request_ = first_request;
    std::deque<Block> blocks_; ///< in the file's order; the room of requests must not move
    std::size_t written_ = 0;  ///< of the first block
    std::unique_ptr<Source> source_;
};

class Store final : public Transfer {
  public:
    Store(Loop& loop, const OpenSink& open, int from, std::uint64_t most)
        : Transfer(loop), most_(most), pipe_(loop, from, Loop::Wait::readable) {
        sink_ = open(*this);
    }

  private:
    void source_opened(const ImageFacts&) override { opened_ = true; }
    std::span<char> source_room(std::uint32_t, std::uint32_t) override { return {}; }

    void source_received(std::uint32_t request, std::uint32_t) override {
        if (under_way_.erase(request) != 0 && request == closing_)
            finish({});
    }

    void source_read_failed(std::uint32_t request) override {
        if (under_way_.erase(request) != 0)
            finish(failure("The server failed to write the file after " + std::to_string(offset_) +
                           " bytes; check its free space and quota. What it has is not whole."));
    }

    void source_ready() override {
        read_in();
        if (at_end_ && under_way_.empty() && closing_ == 0 && !finished()) {
            closing_ = next_request_++;
            under_way_.insert(closing_);
            sink_->close(closing_);
        }
        if (sink_ != nullptr && !finished())
            sink_->flush();
    }

    void read_in() {
        while (opened_ && !finished() && !at_end_ && under_way_.size() < store_depth) {
            const ssize_t count = ::read(pipe_.fd(), buffer_.data(), buffer_.size());
            if (count < 0 && errno == EINTR)
                continue;
            if (count < 0 && errno == EAGAIN) {
                pipe_.wait([this] { source_ready(); });
                return;
            }
            if (count < 0) {
                finish(
                    failure(std::string("Reading the file failed: ") + std::strerror(errno) + "."));
                return;
            }
            at_end_ = count == 0;
            if (!at_end_)
                send(static_cast<std::size_t>(count));
        }
        pipe_.rest();
    }

    void send(std::size_t count) {
        if (count > most_ - offset_) {
            finish(too_large(most_));
            return;
        }
        const std::uint32_t request = next_request_++;
        under_way_.insert(request);
        sink_->write(request, offset_, {buffer_.data(), count});
        offset_ += count;
    }

    const std::uint64_t most_;
    Pipe pipe_;
    bool opened_ = false;
    bool at_end_ = false;
    std::uint64_t offset_ = 0;
    std::uint32_t next_request_ = first_request;
    std::uint32_t closing_ = 0;
    std::unordered_set<std::uint32_t> under_way_;
    std::vector<char> buffer_ = std::vector<char>(store_block);
    std::unique_ptr<Sink> sink_;
};

} // namespace

Result<void> fetch_file(Loop& loop, const OpenSource& open, int to, std::uint64_t most,
                        std::function<void(std::uint64_t size)> opened) {
    return Fetch(loop, open, to, most, std::move(opened)).run();
}

Result<void> store_file(Loop& loop, const OpenSink& open, int from, std::uint64_t most) {
    return Store(loop, open, from, most).run();
}

} // namespace lom::media
