// lom-nfs: reads one file from an NFS server (libnfs; version 4, else 3) for lom-media. Many reads
// are under way at once on one connection. NFS has no login: the user is the number given as user
// name, else nobody's, and the server must let that user read the file.
#include "kvms/media/sources/reader_wire.h"
#include "kvms/readers/reader.h"

#include <nfsc/libnfs.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

namespace {

using namespace lom;
using media::Problem;
using media::Status;

constexpr int answer_limit = 8000; // milliseconds, below lom-media's own limit
constexpr int nobody = 65534;

struct Release {
    void operator()(nfs_context* context) const { nfs_destroy_context(context); }
    void operator()(nfs_url* url) const { nfs_destroy_url(url); }
};
using Context = std::unique_ptr<nfs_context, Release>;

std::string quoted(const std::string& text) { return "'" + text + "'"; }

Problem not_a_file(const std::string& path) {
    return {Status::not_a_regular_file,
            quoted(path) + " on the server is not a file; name the image.", false};
}

Problem problem_of(int error, const std::string& path, const char* said) {
    const std::string reason = said == nullptr ? std::strerror(error) : std::string(said);
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return {Status::no_such_file,
                "The server has no file " + quoted(path) + "; check the path and its exports.",
                false};
    case EISDIR:
        return not_a_file(path);
    case EACCES:
    case EPERM:
    case EROFS:
        return {Status::permission_denied,
                "The server does not let us read " + quoted(path) +
                    "; check its exports and the file's mode (" + reason + ").",
                false};
    default:
        return {Status::failed, "The NFS server refused: " + reason + ".", true};
    }
}

media::ImageFacts facts_of(const nfs_stat_64& about) {
    return {about.nfs_size, static_cast<std::int64_t>(about.nfs_mtime)};
}

/// The one file, open.
class Image {
  public:
    std::optional<Problem> open(const readers::Task& task);
    const media::ImageFacts& facts() const { return facts_; }
    nfs_context* context() const { return context_.get(); }
    nfsfh* file() const { return file_; }

  private:
    std::optional<Problem> open(const readers::Task& task, int version);

    Context context_;
    nfsfh* file_ = nullptr; ///< goes with the process
    media::ImageFacts facts_;
};

std::optional<Problem> Image::open(const readers::Task& task) {
    const auto newer = open(task, 4);
    if (!newer || newer->status != Status::failed)
        return newer;
    const auto older = open(task, 3);
    return older && older->status == Status::failed ? newer : older;
}

std::optional<Problem> Image::open(const readers::Task& task, int version) {
    context_.reset(nfs_init_context());
    // Only a URL's arguments can tell the port.
    const std::string settings = "nfs://x/y/z?version=" + std::to_string(version) +
                                 "&nfsport=" + std::to_string(task.port) + "&autoreconnect=0";
    const std::unique_ptr<nfs_url, Release> url(
        nfs_parse_url_full(context_.get(), settings.c_str()));
    int user = nobody;
    std::from_chars(task.username.data(), task.username.data() + task.username.size(), user);
    nfs_set_uid(context_.get(), user);
    nfs_set_gid(context_.get(), user);
    nfs_set_timeout(context_.get(), answer_limit);
    nfs_set_readahead(context_.get(), 0);
    nfs_set_pagecache(context_.get(), 0);

    const std::size_t slash = task.path.rfind('/');
    const std::string folder = slash == 0 ? "/" : task.path.substr(0, slash);
    const auto problem = [&](int status) {
        return problem_of(-status, task.path, nfs_get_error(context_.get()));
    };
    if (const int status = nfs_mount(context_.get(), task.address.c_str(), folder.c_str());
        status < 0)
        return problem(status);
    if (const int status =
            nfs_open(context_.get(), task.path.substr(slash).c_str(), O_RDONLY, &file_);
        status < 0)
        return problem(status);
    nfs_stat_64 about{};
    if (const int status = nfs_fstat64(context_.get(), file_, &about); status < 0)
        return problem(status);
    if (!S_ISREG(about.nfs_mode))
        return not_a_file(task.path);
    facts_ = facts_of(about);
    return std::nullopt;
}

/// Orders in, answers out. What was read is given away only after the server has said, later, that
/// the file is still the one that was opened: one question vouches for all reads before it.
class Service {
  public:
    explicit Service(const Image& image) : image_(image) {}
    void run();

  private:
    struct Read {
        media::ReadOrder order;
        Service* service = nullptr;
        std::uint32_t length = 0; ///< as an answer has it
        std::vector<char> bytes;
    };
    using Reads = std::vector<std::unique_ptr<Read>>;

    bool take_order();
    void ask_for_facts();
    void give_away();
    static void read_done(int status, nfs_context*, void* data, void* read);
    static void facts_told(int status, nfs_context*, void* data, void* service);

    const Image& image_;
    Reads done_;  ///< and not vouched for
    Reads asked_; ///< the question that is under way vouches for these
    bool asking_ = false;
    bool gone_ = false; ///< lom-media, the server, or the file as it was
};

void Service::run() {
    while (!gone_) {
        std::array<pollfd, 2> waits{pollfd{STDIN_FILENO, POLLIN, 0},
                                    pollfd{nfs_get_fd(image_.context()),
                                           static_cast<short>(nfs_which_events(image_.context())),
                                           0}};
        if (poll(waits.data(), waits.size(), 1000) < 0 && errno != EINTR)
            return;
        if (nfs_service(image_.context(), waits[1].revents) < 0)
            return;
        if (waits[0].revents != 0 && !take_order())
            return;
        ask_for_facts();
    }
}

bool Service::take_order() {
    auto read = std::make_unique<Read>();
    read->service = this;
    if (!readers::receive_all({reinterpret_cast<char*>(&read->order), sizeof read->order}))
        return false;
    const media::ReadOrder& order = read->order;
    if (nfs_pread_async(image_.context(), image_.file(), order.offset, order.length, read_done,
                        read.get()) < 0)
        return false;
    read.release(); // to read_done()
    return true;
}

void Service::read_done(int status, nfs_context*, void* data, void* read_pointer) {
    std::unique_ptr<Read> read(static_cast<Read*>(read_pointer));
    Service& service = *read->service;
    if (status == -EINTR || status == -ETIMEDOUT || status == -EIO) {
        service.gone_ = true; // the connection
        return;
    }
    if (status < 0) {
        read->length = media::read_refused;
    } else {
        read->length = std::min(static_cast<std::uint32_t>(status), read->order.length);
        const char* bytes = static_cast<const char*>(data);
        read->bytes.assign(bytes, bytes + read->length);
    }
    service.done_.push_back(std::move(read));
}

void Service::ask_for_facts() {
    if (gone_ || asking_ || done_.empty())
        return;
    asked_ = std::exchange(done_, {});
    asking_ = true;
    if (nfs_fstat64_async(image_.context(), image_.file(), facts_told, this) < 0)
        gone_ = true;
}

void Service::facts_told(int status, nfs_context*, void* data, void* self) {
    Service& service = *static_cast<Service*>(self);
    service.asking_ = false;
    if (status < 0 || !(facts_of(*static_cast<const nfs_stat_64*>(data)) == service.image_.facts()))
        service.gone_ = true; // lom-media connects anew, and sees what it is then
    else
        service.give_away();
}

void Service::give_away() {
    for (const auto& read : std::exchange(asked_, {})) {
        const media::ReadAnswer answer{read->order.request, read->length};
        if (!readers::send_all({reinterpret_cast<const char*>(&answer), sizeof answer}) ||
            !readers::send_all(read->bytes))
            gone_ = true;
    }
}

} // namespace

int main() {
    // Servers want requests from a privileged port by default.
    if (const auto done = readers::confine(true); !done) {
        readers::say({Status::failed, done.fault().message, false});
        _exit(1);
    }
    const auto task = readers::receive_task();
    if (!task) {
        std::cerr << "lom-nfs is started by lom-media and is of no use alone.\n";
        _exit(2);
    }
    Image image;
    if (const auto problem = image.open(*task))
        readers::say(*problem);
    else if (readers::say_opened(image.facts()))
        Service(image).run();
    _exit(0); // not return: libnfs would wait for the server
}
