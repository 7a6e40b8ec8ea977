// Coroutines of lom-web's own, so that only the server's files need Asio: a Task runs when it is
// awaited, `later` awaits a callback, `detach` starts one from ordinary code. One thread.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace lom::web {

template <typename T>
class [[nodiscard]] Task {
  public:
    struct promise_type {
        Task get_return_object() {
            return Task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        struct Final {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<>
            await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
                const auto next = ended.promise().next;
                return next ? next : std::noop_coroutine();
            }
            void await_resume() noexcept {}
        };
        Final final_suspend() noexcept { return {}; }
        void return_value(T result) { value.emplace(std::move(result)); }
        void unhandled_exception() { error = std::current_exception(); }

        std::optional<T> value;
        std::exception_ptr error;
        std::coroutine_handle<> next;
    };

    Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (frame_)
            frame_.destroy();
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
        frame_.promise().next = waiting;
        return frame_;
    }
    T await_resume() {
        if (frame_.promise().error)
            std::rethrow_exception(frame_.promise().error);
        return std::move(*frame_.promise().value);
    }

  private:
    explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

/// Awaits what `begin` hands to its callback; the callback must come after `begin` has returned.
template <typename T>
struct Later {
    std::function<void(std::function<void(T)>)> begin;
    std::optional<T> value;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        begin([this, waiting](T result) {
            value.emplace(std::move(result));
            waiting.resume();
        });
    }
    T await_resume() { return std::move(*value); }
};

template <typename T>
Later<T> later(std::function<void(std::function<void(T)>)> begin) {
    return {std::move(begin), std::nullopt};
}

struct Detached {
    struct promise_type {
        Detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

/// Runs `task` to its end, whoever still wants the result. It must not throw.
template <typename T>
Detached detach(Task<T> task, std::function<void(T)> done) {
    T result = co_await task;
    if (done)
        done(std::move(result));
}

} // namespace lom::web
