#include "kvms/library/digester.h"

#include "base/fd.h"

#include <openssl/evp.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace lom::kvms {

namespace {

constexpr std::size_t block = 1U << 20U;
constexpr int gives_way = 15; // of nice's 19

struct DigestDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

std::string hexadecimal(const unsigned char* bytes, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += "0123456789abcdef"[bytes[i] >> 4U];
        text += "0123456789abcdef"[bytes[i] & 15U];
    }
    return text;
}

} // namespace

Digester::Digester(Loop& loop) : loop_(loop) {}

Digester::~Digester() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable())
        thread_.join();
}

void Digester::add(std::string file, Done done) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back({std::move(file), std::move(done)});
    }
    if (!thread_.joinable())
        thread_ = std::thread([this] { work(); });
    wake_.notify_all();
}

void Digester::work() {
    setpriority(PRIO_PROCESS, 0, gives_way); // this thread's alone
    for (;;) {
        Job job;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
            if (stop_)
                return;
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        auto sum = digest(job.file);
        if (stopping())
            return;
        loop_.post([alive = std::weak_ptr(alive_), done = std::move(job.done),
                    sum = std::move(sum)]() mutable {
            if (!alive.expired())
                done(std::move(sum));
        });
    }
}

bool Digester::stopping() {
    const std::lock_guard lock(mutex_);
    return stop_;
}

/// What is said of a file is to be true after a power cut too: it goes to the disk first.
std::optional<std::string> Digester::digest(const std::string& file) {
    const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    const std::unique_ptr<EVP_MD_CTX, DigestDeleter> context(EVP_MD_CTX_new());
    if (!fd || fdatasync(fd.get()) < 0 || !context ||
        EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
        return std::nullopt;
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    std::vector<char> buffer(block);
    while (!stopping()) {
        const ssize_t count = read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return std::nullopt;
        if (count > 0) {
            EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(count));
            continue;
        }
        std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
        unsigned length = 0;
        EVP_DigestFinal_ex(context.get(), sum.data(), &length);
        return hexadecimal(sum.data(), length);
    }
    return std::nullopt;
}

} // namespace lom::kvms
