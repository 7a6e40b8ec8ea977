#include "kvms/media/sources/file_source.h"

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
    void refused(const Fault& fault);
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
    if (settings_.allowed_folder.empty())
        return fail(Status::permission_denied,
                    "Images of the service processor's own machine are switched off.", false);
    auto file = settings_.steward.open_file();
    if (!file)
        return refused(file.fault());
    *fd_ = std::move(*file);
    facts_ = facts_of(fd_->get());
    if (facts_.size < settings_.least_size)
        return fail(Status::too_short,
                    "The file has only " + std::to_string(facts_.size) +
                        " bytes, less than one sector; it is no image.",
                    false);
    listener_.source_opened(facts_);
    listener_.source_ready();
}

void FileSource::refused(const Fault& fault) {
    const std::string& path = settings_.uri.path;
    if (fault.kind == FaultKind::wrong_state)
        fail(Status::not_a_regular_file, "'" + path + "' is not a file; name the image.", false);
    else if (fault.kind == FaultKind::not_found)
        fail(Status::no_such_file, "There is no '" + path + "'.", false);
    else
        fail(Status::permission_denied,
             "'" + path + "' cannot be opened (" + fault.message + "); only images below " +
                 settings_.allowed_folder + " may be used.",
             false);
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
