#include "base/loop.h"

#include "base/fd.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <fcntl.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include <optional>

namespace asio = boost::asio;

namespace lom {

struct Loop::Registration {
    virtual ~Registration() = default;
};

namespace {

// Asio's completion of a cancelled operation still comes; the weak pointer is what says that the
// handle is gone, and it also keeps the object alive while its own callback destroys the handle.
struct TimerRegistration final : Loop::Registration,
                                 std::enable_shared_from_this<TimerRegistration> {
    explicit TimerRegistration(asio::io_context& context) : timer(context) {}

    void arm(std::chrono::milliseconds delay, bool repeat) {
        timer.expires_after(delay);
        timer.async_wait([weak = weak_from_this(), delay, repeat](boost::system::error_code error) {
            const auto self = weak.lock();
            if (error || !self)
                return;
            if (repeat)
                self->arm(delay, true);
            self->callback();
        });
    }

    asio::steady_timer timer;
    std::function<void()> callback;
};

struct WatchRegistration final : Loop::Registration,
                                 std::enable_shared_from_this<WatchRegistration> {
    // Watches a duplicate: one fd may have a read and a write watch, and Asio takes an fd once.
    WatchRegistration(asio::io_context& context, int fd, Loop::Wait direction)
        : duplicate(fcntl(fd, F_DUPFD_CLOEXEC, 0)), descriptor(context, duplicate.get()),
          wait(direction == Loop::Wait::readable ? asio::posix::descriptor_base::wait_read
                                                 : asio::posix::descriptor_base::wait_write) {}
    ~WatchRegistration() override { descriptor.release(); } // deregisters before the fd closes

    void arm() {
        descriptor.async_wait(wait, [weak = weak_from_this()](boost::system::error_code error) {
            const auto self = weak.lock();
            if (error || !self)
                return;
            self->callback();
            const bool handle_lives = self.use_count() > 1;
            if (handle_lives)
                self->arm();
        });
    }

    UniqueFd duplicate;
    asio::posix::stream_descriptor descriptor;
    asio::posix::descriptor_base::wait_type wait;
    std::function<void()> callback;
};

struct SignalRegistration final : Loop::Registration,
                                  std::enable_shared_from_this<SignalRegistration> {
    SignalRegistration(asio::io_context& context, int signal) : signals(context, signal) {}

    void arm() {
        signals.async_wait([weak = weak_from_this()](boost::system::error_code error, int signal) {
            const auto self = weak.lock();
            if (error || !self)
                return;
            self->arm();
            self->callback(signal);
        });
    }

    asio::signal_set signals;
    std::function<void(int)> callback;
};

struct ExitRegistration final : Loop::Registration {
    UniqueFd pidfd;
    Loop::Handle watch;
};

} // namespace

struct Loop::Impl {
    asio::io_context context{1};
    std::optional<asio::thread_pool> pool; // made at first use: most tests never need it
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}

Loop::~Loop() {
    if (impl_->pool)
        impl_->pool->join();
}

void Loop::run() {
    const auto work = asio::make_work_guard(impl_->context);
    impl_->context.run();
    impl_->context.restart();
}

bool Loop::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
    impl_->context.restart(); // an earlier run that ended with nothing left to do has stopped it
    const auto work = asio::make_work_guard(impl_->context);
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (impl_->context.run_one_until(deadline) == 0)
            return done();
    }
    return true;
}

void Loop::stop() { impl_->context.stop(); }

void Loop::post(std::function<void()> callback) { asio::post(impl_->context, std::move(callback)); }

Loop::Handle Loop::after(std::chrono::milliseconds delay, std::function<void()> callback) {
    auto timer = std::make_shared<TimerRegistration>(impl_->context);
    timer->callback = std::move(callback);
    timer->arm(delay, false);
    return timer;
}

Loop::Handle Loop::every(std::chrono::milliseconds period, std::function<void()> callback) {
    auto timer = std::make_shared<TimerRegistration>(impl_->context);
    timer->callback = std::move(callback);
    timer->arm(period, true);
    return timer;
}

Loop::Handle Loop::watch(int fd, Wait wait, std::function<void()> callback) {
    auto registration = std::make_shared<WatchRegistration>(impl_->context, fd, wait);
    registration->callback = std::move(callback);
    registration->arm();
    return registration;
}

Loop::Handle Loop::on_exit(pid_t process, std::function<void(int)> callback) {
    auto exit = std::make_shared<ExitRegistration>();
    exit->pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
    auto ended = [weak = std::weak_ptr(exit), process, callback = std::move(callback)] {
        const auto self = weak.lock();
        int status = 0;
        const pid_t reaped = self ? waitpid(process, &status, WNOHANG) : 0;
        if (reaped == 0)
            return;
        self->watch.reset();
        callback(reaped == process ? status : -1);
    };
    if (exit->pidfd)
        exit->watch = watch(exit->pidfd.get(), Wait::readable, std::move(ended));
    else
        exit->watch = after(std::chrono::milliseconds(0), std::move(ended));
    return exit;
}

Loop::Handle Loop::on_signal(int signal, std::function<void(int)> callback) {
    auto registration = std::make_shared<SignalRegistration>(impl_->context, signal);
    registration->callback = std::move(callback);
    registration->arm();
    return registration;
}

boost::asio::io_context& Loop::context() { return impl_->context; }

void Loop::in_pool(std::function<void()> work, std::function<void()> done) {
    if (!impl_->pool)
        impl_->pool.emplace(2);
    asio::post(*impl_->pool, [this, work = std::move(work), done = std::move(done)]() mutable {
        work();
        post(std::move(done));
    });
}

} // namespace lom
