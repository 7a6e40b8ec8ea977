#include "kvms/media/file_source.h"

#include "base/fd.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace lom::media {

namespace {

using namespace std::chrono_literals;

/// `path` as it is below `folder`; empty: it is not.
std::string path_below(const std::string& folder, const std::string& path) {
    if (folder.empty())
        return {};
    const std::filesystem::path relative =
        std::filesystem::path(path).lexically_normal().lexically_relative(
            std::filesystem::path(folder).lexically_normal());
    return relative.empty() || *relative.begin() == ".." ? std::string() : relative.string();
}

/// Without leaving `folder`, whatever links lie there.
UniqueFd open_below(const std::string& folder, const std::string& path) {
    const UniqueFd root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return UniqueFd(
        static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
}

class FileSource final : public Source {
  public:
    FileSource(Loop& loop, const FileSettings& settings, SourceListener& listener)
        : loop_(loop), settings_(settings), listener_(listener) {
        begin_ = loop_.after(0ms, [this] { open(); }); // the listener is not ready inside here
    }

    void read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) override;
    void flush() override {}

  private:
    /// What the pool works on; it may outlive the source.
    struct Job {
        std::shared_ptr<UniqueFd> fd;
        std::uint64_t offset = 0;
        std::vector<char> bytes;
        ssize_t count = 0;
        ImageFacts facts;
        void run();
    };

    void open();
    void done(std::uint32_t request, const Job& job);
    void fail(Status status, std::string detail, bool transient);

    Loop& loop_;
    const FileSettings& settings_;
    SourceListener& listener_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::shared_ptr<UniqueFd> fd_ = std::make_shared<UniqueFd>();
    ImageFacts facts_;
    bool failed_ = false;
    Loop::Handle begin_;
};

ImageFacts facts_of(int fd) {
    struct stat about {};
    fstat(fd, &about);
    return {static_cast<std::uint64_t>(about.st_size), about.st_mtime};
}

void FileSource::open() {
    const std::string& path = settings_.uri.path;
    const std::string relative = path_below(settings_.allowed_folder, path);
    if (relative.empty())
        return fail(Status::permission_denied,
                    settings_.allowed_folder.empty()
                        ? "Images of the service processor's own machine are switched off."
                        : "Only images below " + settings_.allowed_folder + " may be used.",
                    false);
    *fd_ = open_below(settings_.allowed_folder, relative);
    if (!*fd_)
        return fail(errno == ENOENT ? Status::no_such_file : Status::permission_denied,
                    "'" + path + "' cannot be opened (" + std::strerror(errno) + ").", false);
    struct stat about {};
    if (fstat(fd_->get(), &about) != 0 || !S_ISREG(about.st_mode))
        return fail(Status::not_a_regular_file, "'" + path + "' is not a file; name the image.",
                    false);
    facts_ = facts_of(fd_->get());
    if (facts_.size < settings_.least_size)
        return fail(Status::too_short,
                    "The file has only " + std::to_string(facts_.size) +
                        " bytes, less than one sector; it is no image.",
                    false);
    listener_.source_opened(facts_);
    listener_.source_ready();
}

void FileSource::Job::run() {
    count = pread(fd->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    facts = facts_of(fd->get());
}

void FileSource::read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) {
    const auto job = std::make_shared<Job>();
    job->fd = fd_;
    job->offset = offset;
    job->bytes.resize(length);
    loop_.in_pool([job] { job->run(); },
                  [this, job, request, alive = std::weak_ptr(alive_)] {
                      if (!alive.expired() && !failed_)
                          done(request, *job);
                  });
}

void FileSource::done(std::uint32_t request, const Job& job) {
    if (!(job.facts == facts_))
        return fail(Status::reconnecting, "The file has just been changed.", true);
    if (job.count < 0) {
        listener_.source_read_failed(request);
    } else {
        const auto count = static_cast<std::uint32_t>(job.count);
        const auto room = listener_.source_room(request, count);
        if (room.size() < count)
            return fail(Status::reconnecting, "A read was answered that nobody asked for.", true);
        std::memcpy(room.data(), job.bytes.data(), count);
        listener_.source_received(request, count);
    }
    listener_.source_ready();
}

void FileSource::fail(Status status, std::string detail, bool transient) {
    failed_ = true;
    begin_ = loop_.after(0ms, [this, problem = Problem{status, std::move(detail), transient}] {
        listener_.source_lost(problem);
    });
}

} // namespace

std::unique_ptr<Source> open_file(Loop& loop, const FileSettings& settings,
                                  SourceListener& listener) {
    return std::make_unique<FileSource>(loop, settings, listener);
}

} // namespace lom::media
