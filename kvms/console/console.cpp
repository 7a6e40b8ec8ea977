#include "kvms/console/console.h"

#include "kvms/console/input_line.h"
#include "kvms/console/log_file.h"
#include "kvms/console/reader.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace lom::kvms {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t max_clients = 600;
// QEMU writes its log byte by byte. Output is gathered for this long when it comes in a flood, but
// not right after somebody typed: then it is an echo, and is wanted at once.
constexpr milliseconds gather_time{2};
constexpr milliseconds typing_time{100};
// Room on disk, history kept within its limit, and wake-ups that inotify could not give.
constexpr milliseconds upkeep_period{2000};
constexpr std::size_t search_block = 64U << 10U;

} // namespace

struct Console::Impl {
    struct Client {
        ConsoleClient about;
        std::shared_ptr<Reader> reader;
    };

    Impl(Loop& loop_in, LogFile log_in, Settings settings_in, Observer observer_in);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    // Following the log.
    void watch_log();
    void follow_log();
    void unfollow_log();
    void on_log_changed();
    void pump();
    void upkeep();
    void trim();
    void reserve();
    void trouble(const std::string& sentence) const;

    // Clients and the write seat.
    Client* find(std::uint64_t id);
    const Client* writer();
    void add(const AttachRequest& request, bool write, UniqueFd socket);
    void remove(std::uint64_t id);
    void announce_seat();
    void on_message(std::uint64_t id, char kind, std::string_view payload);
    void on_input(std::string_view bytes);
    void send_break();
    void apply_back_pressure();
    void tell_changed() const;

    Loop& loop;
    LogFile log;
    Settings settings;
    Observer observer;
    InputLine input;
    bool diverted = false;
    Loop::Handle break_under_way;

    std::vector<Client> clients;
    std::uint64_t last_id = 0;
    std::uint64_t writer_id = 0; // the seat is free when no client has this id

    UniqueFd inotify;
    Loop::Handle log_changes;
    Loop::Handle gathering;
    Loop::Handle upkeep_timer;
    Clock::time_point last_pump;
    Clock::time_point last_typed;

    // Each trouble is told when it begins, not every time it is met.
    bool cannot_follow = false;
    bool cannot_trim = false;
    bool disk_full = false;
};

Console::Impl::Impl(Loop& loop_in, LogFile log_in, Settings settings_in, Observer observer_in)
    : loop(loop_in), log(std::move(log_in)), settings(settings_in),
      observer(std::move(observer_in)), input(loop, [this] { apply_back_pressure(); }) {
    upkeep_timer = loop.every(upkeep_period, [this] { pump(); });
    upkeep();
}

Console::Impl::~Impl() {
    for (Client& client : clients)
        client.reader->close();
}

void Console::Impl::trouble(const std::string& sentence) const {
    if (observer.trouble)
        observer.trouble(sentence);
}

// Only while somebody looks: a flooding guest that nobody watches costs nothing.
void Console::Impl::follow_log() {
    if (inotify)
        return;
    inotify.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (inotify && inotify_add_watch(inotify.get(), log.path().c_str(), IN_MODIFY) >= 0)
        return watch_log();
    const std::string cause = std::strerror(errno);
    inotify.reset();
    if (!std::exchange(cannot_follow, true))
        trouble("The console log " + log.path() + " cannot be followed (" + cause +
                "): the console lags by up to two seconds. Raise fs.inotify.max_user_instances "
                "and fs.inotify.max_user_watches with sysctl.");
}

void Console::Impl::unfollow_log() {
    log_changes.reset();
    gathering.reset();
    inotify.reset();
}

void Console::Impl::watch_log() {
    log_changes = loop.watch(inotify.get(), Loop::Wait::readable, [this] { on_log_changed(); });
}

void Console::Impl::on_log_changed() {
    const auto now = Clock::now();
    if (now - last_pump >= gather_time || now - last_typed < typing_time)
        return pump();
    log_changes.reset();
    gathering = loop.after(gather_time, [this] {
        watch_log();
        pump();
    });
}

void Console::Impl::pump() {
    last_pump = Clock::now();
    // Events first, bytes after: a byte that comes in between raises a new event.
    std::array<char, 4096> events; // NOLINT: filled by read, never looked at
    while (inotify && ::read(inotify.get(), events.data(), events.size()) > 0) {
    }
    upkeep();
    for (const Client& client : clients)
        client.reader->follow();
}

void Console::Impl::upkeep() {
    trim();
    reserve();
}

void Console::Impl::trim() {
    if (cannot_trim)
        return;
    const auto trimmed = log.trim(settings.history_limit);
    if (trimmed)
        return;
    cannot_trim = true;
    trouble(trimmed.fault().message + " The history will grow without limit; keep it on a file "
                                      "system that can punch holes (ext4, XFS, Btrfs, tmpfs).");
}

// QEMU drops what it cannot write to its log and says nothing, so room is taken before it is
// needed, and failing to take it is how a full disk is noticed: while every byte still has its
// place.
void Console::Impl::reserve() {
    const std::uint64_t limit = log.reserved_end();
    const bool full = log.reserve() == LogFile::Space::full;
    if (full == disk_full)
        return;
    disk_full = full;
    const std::uint64_t end = log.end();
    if (full)
        trouble("The disk is full: the console log " + log.path() + " has room for " +
                std::to_string(limit > end ? limit - end : 0) +
                " more bytes. Free some space; recording then goes on by itself.");
    else
        trouble("The console log " + log.path() + " has room again." +
                (end >= limit ? " What the guest printed meanwhile may be missing from it." : ""));
}

Console::Impl::Client* Console::Impl::find(std::uint64_t id) {
    const auto found = std::find_if(clients.begin(), clients.end(),
                                    [id](const Client& client) { return client.about.id == id; });
    return found == clients.end() ? nullptr : &*found;
}

const Console::Impl::Client* Console::Impl::writer() { return find(writer_id); }

void Console::Impl::add(const AttachRequest& request, bool write, UniqueFd socket) {
    const std::uint64_t id = ++last_id;
    const std::uint64_t offset = std::min(request.offset.value_or(log.end()), log.end());
    Reader::Handlers handlers{
        .message = [this, id](char kind,
                              std::string_view payload) { on_message(id, kind, payload); },
        .gone =
            [this, id] {
                remove(id);
                tell_changed();
            }};
    clients.emplace_back(
        ConsoleClient{id, request.who, false, request.session},
        std::make_shared<Reader>(loop, log, std::move(socket), offset, std::move(handlers)));
    if (write)
        writer_id = id;
    follow_log();
    announce_seat();
    apply_back_pressure();
}

void Console::Impl::remove(std::uint64_t id) {
    Client* client = find(id);
    if (client == nullptr)
        return;
    client->reader->close();
    clients.erase(clients.begin() + (client - clients.data()));
    announce_seat();
    if (clients.empty())
        unfollow_log();
}

void Console::Impl::announce_seat() {
    const Client* holder = writer();
    const std::string name = holder != nullptr ? holder->about.who : "";
    for (Client& client : clients) {
        client.about.writer = client.about.id == writer_id;
        client.reader->tell_seat(client.about.writer, name);
    }
}

// Calls of the observer come last: it may detach clients.
void Console::Impl::on_message(std::uint64_t id, char kind, std::string_view payload) {
    if (id != writer_id)
        return;
    if (kind == 'd' && !payload.empty())
        on_input(payload);
    else if (kind == 'b' && observer.send_break)
        send_break();
}

// A break does not go the way of what is typed, and the key behind it must not overtake it: the two
// together are a command to the guest's kernel (SysRq).
void Console::Impl::send_break() {
    const auto over = [this] {
        break_under_way.reset();
        apply_back_pressure();
    };
    break_under_way = loop.after(std::chrono::seconds(1), over);
    apply_back_pressure();
    observer.send_break(over);
}

void Console::Impl::on_input(std::string_view bytes) {
    last_typed = Clock::now();
    if (!diverted && input.send(bytes))
        apply_back_pressure();
    else if (observer.input)
        observer.input(bytes);
}

void Console::Impl::apply_back_pressure() {
    const bool full = (!diverted && input.full()) || break_under_way;
    for (const Client& client : clients)
        client.reader->pause(full && client.about.id == writer_id);
}

void Console::Impl::tell_changed() const {
    if (observer.changed)
        observer.changed();
}

Result<std::unique_ptr<Console>> Console::open(Loop& loop, std::string log_path, Settings settings,
                                               Observer observer) {
    auto log = LogFile::open(log_path);
    if (!log)
        return log.fault();
    return std::unique_ptr<Console>(
        new Console(std::make_unique<Impl>(loop, std::move(*log), settings, std::move(observer))));
}

Console::Console(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Console::~Console() = default;

void Console::use_socket(const std::string& path) { impl_->input.use(path); }

void Console::divert_input(bool divert) {
    impl_->diverted = divert;
    impl_->apply_back_pressure();
}

void Console::print(std::string_view text) {
    const auto written = impl_->log.append(text);
    if (!written && !std::exchange(impl_->disk_full, true))
        impl_->trouble(written.fault().message);
    impl_->pump();
}

Result<UniqueFd> Console::attach(const AttachRequest& request, bool read_only_ok,
                                 std::uint64_t& id) {
    if (impl_->clients.size() >= max_clients)
        return Fault{FaultKind::busy, "The console has " + std::to_string(max_clients) +
                                          " readers already; stop one of them first."};
    const Impl::Client* holder = impl_->writer();
    const bool seat_taken = request.write && holder != nullptr && !request.force;
    if (seat_taken && !read_only_ok)
        return Fault{FaultKind::busy, "Serial console is in use.\n" + holder->about.who +
                                          " has it. Take it over with -force."};
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) < 0)
        return Fault{FaultKind::internal,
                     std::string("Cannot open a console connection: ") + std::strerror(errno)};
    UniqueFd ours(pair[0]);
    UniqueFd theirs(pair[1]);
    impl_->add(request, request.write && !seat_taken, std::move(ours));
    id = impl_->last_id;
    impl_->tell_changed();
    return theirs;
}

void Console::detach(std::uint64_t id, const std::string& reason) {
    Impl::Client* client = impl_->find(id);
    if (client == nullptr)
        return;
    client->reader->stop(reason);
    impl_->remove(id);
    impl_->tell_changed();
}

void Console::detach_all(const std::string& reason) {
    for (auto& client : impl_->clients)
        client.reader->stop(reason);
    impl_->clients.clear();
    impl_->unfollow_log();
    impl_->tell_changed();
}

void Console::detach_session(const std::string& session, const std::string& reason) {
    for (const ConsoleClient& client : clients())
        if (client.session == session)
            detach(client.id, reason);
}

void Console::give_seat(const std::string& session) {
    auto& clients = impl_->clients;
    const auto latest = std::find_if(clients.rbegin(), clients.rend(), [&](const auto& client) {
        return client.about.session == session;
    });
    if (latest == clients.rend())
        return;
    impl_->writer_id = latest->about.id;
    impl_->announce_seat();
    impl_->apply_back_pressure();
    impl_->tell_changed();
}

std::vector<ConsoleClient> Console::clients() const {
    std::vector<ConsoleClient> result;
    for (const auto& client : impl_->clients)
        result.push_back(client.about);
    return result;
}

Result<std::string> Console::read(std::uint64_t offset, std::size_t limit) const {
    const std::uint64_t from = std::max(offset, impl_->log.start());
    const std::uint64_t end = impl_->log.end();
    std::string bytes;
    if (from >= end)
        return bytes;
    bytes.resize(std::min<std::uint64_t>(limit, end - from));
    bytes.resize(impl_->log.read(from, bytes));
    return bytes;
}

std::uint64_t Console::start() const { return impl_->log.start(); }

std::uint64_t Console::end() const { return impl_->log.end(); }

std::uint64_t Console::offset_of_last_lines(std::size_t lines) const {
    const LogFile& log = impl_->log;
    if (lines == 0)
        return log.start();
    std::array<char, search_block> block; // NOLINT: filled by read
    std::uint64_t end = log.end();
    // The newline that ends the last line begins no new one.
    std::uint64_t end_of_lines = end > log.start() ? end - 1 : end;
    while (end_of_lines > log.start()) {
        const std::uint64_t size =
            std::min<std::uint64_t>(block.size(), end_of_lines - log.start());
        const std::uint64_t from = end_of_lines - size;
        for (std::size_t i = log.read(from, std::span(block).first(size)); i > 0; --i)
            if (block[i - 1] == '\n' && --lines == 0)
                return from + i;
        end_of_lines = from;
    }
    return log.start();
}

} // namespace lom::kvms
