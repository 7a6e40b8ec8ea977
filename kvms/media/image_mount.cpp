#define FUSE_USE_VERSION 314
#include "kvms/media/image_mount.h"

#include "base/files.h"

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lom::media {

namespace {

constexpr unsigned max_read = 1U << 20U;
constexpr double attribute_lifetime = 3600; // the image never changes while it is mounted
constexpr int requests_per_turn = 64;
constexpr const char* file_system = "fuse.lom-media";

Fault unusable(const std::string& file, const std::string& why) {
    return {FaultKind::unavailable, "Cannot serve the image at " + file + ": " + why};
}

/// mountinfo writes space, tab, newline and backslash as octal.
std::string unescape(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            plain.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)));
            i += 3;
        } else {
            plain.push_back(text[i]);
        }
    }
    return plain;
}

int mounts_of_ours_at(const std::string& path) {
    const auto table = read_file("/proc/self/mountinfo");
    std::istringstream lines(table ? *table : std::string());
    int count = 0;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string skipped;
        std::string where;
        fields >> skipped >> skipped >> skipped >> skipped >> where;
        const std::size_t type = line.find(" - ");
        if (type != std::string::npos && unescape(where) == path &&
            line.compare(type + 3, std::strlen(file_system), file_system) == 0)
            ++count;
    }
    return count;
}

struct stat attributes_of(const ImageFacts& facts) {
    struct stat attributes {};
    attributes.st_ino = FUSE_ROOT_ID;
    attributes.st_mode = S_IFREG | 0444;
    attributes.st_nlink = 1;
    attributes.st_size = static_cast<off_t>(facts.size);
    attributes.st_blocks = static_cast<blkcnt_t>((facts.size + 511) / 512);
    attributes.st_blksize = static_cast<blksize_t>(block_size);
    attributes.st_mtime = facts.modified;
    return attributes;
}

} // namespace

Result<std::string> prepare_mount_point(const std::string& file) {
    // The folder is resolved, not the file: a dead mount on it answers nothing.
    const std::size_t slash = file.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
    std::array<char, PATH_MAX> resolved{};
    if (realpath(folder.c_str(), resolved.data()) == nullptr)
        return unusable(file, std::string("its folder: ") + std::strerror(errno) + ".");
    const std::string base = file.substr(slash == std::string::npos ? 0 : slash + 1);
    std::string path = resolved.data();
    path += (path.back() == '/' ? "" : "/") + base;
    for (int left = mounts_of_ours_at(path); left > 0; --left)
        if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
            return unusable(file, std::string("an old mount is there and stays: ") +
                                      std::strerror(errno) + "; unmount it.");
    struct stat found {};
    if (lstat(path.c_str(), &found) != 0)
        return unusable(file, std::string(std::strerror(errno)) + "; create an empty file there.");
    if (!S_ISREG(found.st_mode))
        return unusable(file, "it must be a plain file to mount over.");
    return path;
}

struct ImageMount::Impl {
    Impl(Loop& loop_in, Steward& steward_in, Handlers handlers_in, Keeper* keeper_in)
        : loop(loop_in), steward(steward_in), handlers(std::move(handlers_in)), keeper(keeper_in) {}

    static Impl& of(fuse_req_t request) { return *static_cast<Impl*>(fuse_req_userdata(request)); }

    static void on_init(void*, fuse_conn_info* connection) {
        connection->max_read = max_read; // must repeat the mount option
        connection->max_background = 64;
        connection->congestion_threshold = 48;
    }
    static void on_getattr(fuse_req_t request, fuse_ino_t, fuse_file_info*) {
        const struct stat attributes = attributes_of(of(request).facts);
        fuse_reply_attr(request, &attributes, attribute_lifetime);
    }
    static void on_open(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
        if ((info->flags & O_ACCMODE) != O_RDONLY) {
            fuse_reply_err(request, EROFS);
            return;
        }
        info->keep_cache = 1;
        fuse_reply_open(request, info);
    }
    static void on_read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset,
                        fuse_file_info*) {
        Impl& self = of(request);
        self.reads_came = true;
        if (self.keeper != nullptr && !self.keeper->began(request, self.number_of_request())) {
            fuse_reply_err(request, EAGAIN); // more than any QEMU has
            return;
        }
        self.handlers.read(request, static_cast<std::uint64_t>(offset), size);
    }

    /// As the kernel counts; libfuse tells it to nobody.
    std::uint64_t number_of_request() const {
        fuse_in_header header{};
        std::memcpy(&header, buffer.mem, sizeof(header));
        return header.unique;
    }

    void ended(fuse_req_t request) const {
        if (keeper != nullptr)
            keeper->ended(request);
    }

    void on_readable() {
        reads_came = false;
        for (int i = 0; i < requests_per_turn && session != nullptr; ++i) {
            const int size = fuse_session_receive_buf(session, &buffer);
            if (size == -EINTR)
                continue;
            if (size <= 0)
                break;
            fuse_session_process_buf(session, &buffer);
        }
        if (session != nullptr && fuse_session_exited(session) != 0) {
            readable.reset();
            handlers.unmounted();
            return;
        }
        if (reads_came)
            handlers.batch_done();
    }

    Loop& loop;
    Steward& steward;
    Handlers handlers;
    Keeper* keeper;
    ImageFacts facts;
    fuse_session* session = nullptr;
    fuse_buf buffer{};
    bool reads_came = false;
    Loop::Handle readable;
};

ImageMount::ImageMount(Loop& loop, Steward& steward, Handlers handlers, Keeper* keeper)
    : impl_(std::make_unique<Impl>(loop, steward, std::move(handlers), keeper)) {}

std::string ImageMount::mount_options() {
    // allow_other: QEMU runs under an account of its own.
    return "rootmode=100000,user_id=0,group_id=0,default_permissions,allow_other,max_read=" +
           std::to_string(max_read);
}

ImageMount::~ImageMount() { unmount(); }

bool ImageMount::mounted() const { return impl_->session != nullptr; }

Result<void> ImageMount::mount(const ImageFacts& facts) {
    impl_->facts = facts;
    fuse_lowlevel_ops operations{};
    operations.init = Impl::on_init;
    operations.getattr = Impl::on_getattr;
    operations.open = Impl::on_open;
    operations.read = Impl::on_read;
    std::string options = "max_read=" + std::to_string(max_read);
    std::string program = "lom-media";
    std::string flag = "-o";
    std::array<char*, 3> words{program.data(), flag.data(), options.data()};
    fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(words.size()), words.data());
    impl_->session = fuse_session_new(&arguments, &operations, sizeof(operations), impl_.get());
    fuse_opt_free_args(&arguments);
    const Fault refused{FaultKind::internal, "libfuse refuses to start."};
    if (impl_->session == nullptr)
        return refused;
    auto fuse = impl_->steward.mount();
    // So libfuse takes a descriptor that somebody else has mounted, and owns it from then on.
    if (!fuse || fuse_session_mount(impl_->session,
                                    ("/dev/fd/" + std::to_string(fuse->get())).c_str()) != 0) {
        fuse_session_destroy(impl_->session);
        impl_->session = nullptr;
        return fuse ? refused : fuse.fault();
    }
    const int fd = fuse->release();
    if (impl_->keeper != nullptr)
        impl_->keeper->inherit(fd);
    impl_->readable = impl_->loop.watch(fd, Loop::Wait::readable, [this] { impl_->on_readable(); });
    return {};
}

void ImageMount::read_wider() {
    if (mounted())
        impl_->steward.read_wider();
}

void ImageMount::unmount() {
    if (!mounted())
        return;
    impl_->readable.reset(); // its duplicate of the descriptor too, or the mount would live on
    impl_->steward.unmount();
    fuse_session_destroy(impl_->session);
    impl_->session = nullptr;
    free(impl_->buffer.mem); // NOLINT: libfuse allocated it
    impl_->buffer = {};
}

void ImageMount::answer(ImageReader::Token token, std::span<const iovec> parts) {
    auto* request = static_cast<fuse_req_t>(token);
    fuse_reply_iov(request, parts.data(), static_cast<int>(parts.size()));
    impl_->ended(request); // not before: we may be killed in between
}

void ImageMount::refuse(ImageReader::Token token) {
    auto* request = static_cast<fuse_req_t>(token);
    fuse_reply_err(request, refusal_);
    impl_->ended(request);
}

void ImageMount::fail(ImageReader::Token token) {
    auto* request = static_cast<fuse_req_t>(token);
    fuse_reply_err(request, EIO);
    impl_->ended(request);
}

} // namespace lom::media
