#include "kvms/media/sources/sftp_source.h"

#include "kvms/media/engine/flight_window.h"
#include "kvms/media/sources/sftp_wire.h"
#include "kvms/media/sources/tcp_connector.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h> // ssh_send_keepalive

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>

namespace lom::media {

namespace {

constexpr auto login_limit = std::chrono::seconds(15);
constexpr auto keepalive_after = std::chrono::seconds(3);
constexpr auto silence_limit = std::chrono::seconds(9); // the status must be true within 10
constexpr std::uint64_t largest_image = std::uint64_t{1} << 50U;

// libssh's own receive window lets 13 MB/s through at 50 ms; this one 200.
constexpr std::uint32_t receive_window = 32U << 20U;
constexpr std::uint32_t window_top_up = receive_window / 8;
/// Packets per turn of the loop (4 KiB each in libssh), so that FUSE and control get theirs.
constexpr int reads_per_turn = 64;

// AES-GCM is the fastest by far on today's processors; the rest is for odd servers.
constexpr const char* ciphers = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
                                "chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr";

/// The requests that lead to an open file, one after the other; the engine's ids start at 16.
enum ControlRequest : std::uint32_t {
    init_id,
    stat_id,
    open_id,
    fstat_id,
    none_id,
    unasked_id,
    look_id
};
constexpr unsigned reads_per_look = 8;

struct SessionDeleter {
    void operator()(ssh_session session) const {
        ssh_disconnect(session);
        ssh_free(session);
    }
};
using Session = std::unique_ptr<ssh_session_struct, SessionDeleter>;

struct KeyDeleter {
    void operator()(ssh_key key) const { ssh_key_free(key); }
};
using Key = std::unique_ptr<ssh_key_struct, KeyDeleter>;

/// Text of the server's in a sentence of ours: one line, bounded.
std::string printable(std::string_view text) {
    std::string clean(text.substr(0, 200));
    std::replace_if(
        clean.begin(), clean.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return clean;
}

std::string quoted(std::string_view text) {
    std::string quote(1, '\'');
    quote.append(printable(text));
    quote.push_back('\'');
    return quote;
}

/// Memory that libssh's window call wants named but never touches.
class Scratch {
  public:
    Scratch()
        : bytes_(mmap(nullptr, receive_window, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
    ~Scratch() {
        if (bytes_ != MAP_FAILED)
            munmap(bytes_, receive_window);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    char* get() const { return bytes_ == MAP_FAILED ? nullptr : static_cast<char*>(bytes_); }

  private:
    void* bytes_;
};

enum class Direction { reading, writing };

class SftpSource final : public Source, public Sink, private sftp::ReplyListener {
  public:
    SftpSource(Loop& loop, SftpSettings& settings, SourceListener& listener, Direction direction);
    ~SftpSource() override;

    void read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) override;
    void write(std::uint32_t request, std::uint64_t offset, std::string_view bytes) override;
    void close(std::uint32_t request) override;
    void flush() override;

  private:
    enum class Phase {
        tcp,
        handshake,
        auth_none,
        auth_key,
        auth_password,
        auth_interactive,
        open_channel,
        request_sftp,
        talking,
    };

    // Life of the connection
    void connected(UniqueFd fd);
    bool configure(int fd);
    void advance();
    bool step();
    bool session_ended() const;
    void watch_writable();
    void tick();
    void fail(Status status, std::string detail, bool transient);
    void lose(const std::string& what);

    // Login
    bool handshake();
    bool check_host_key();
    bool check_known_hosts(const std::string& fingerprint);
    std::string known_hosts();
    Result<void> remember_host();
    bool authenticated(int result);
    bool next_method();
    int answer_prompts();
    void refuse_login(const std::string& why);
    bool start_channel(int result);
    bool start_sftp(int result);

    // SFTP
    void pump();
    void top_up_window();
    void feed(std::span<const char> bytes);
    void check_and_open(const sftp::Attributes& attributes);
    void became_writable();
    bool is_image(const sftp::Attributes& attributes);
    void file_refused(std::uint32_t code);
    void on_version(std::uint32_t version) override;
    void on_status(std::uint32_t id, std::uint32_t code) override;
    void on_handle(std::uint32_t id, std::string_view handle) override;
    void on_attributes(std::uint32_t id, const sftp::Attributes& attributes) override;
    std::span<char> room_for(std::uint32_t id, std::uint32_t length) override;
    void on_data(std::uint32_t id, std::uint32_t length) override;
    void ask(ControlRequest request, std::string packet);
    bool awaited(std::uint32_t id);
    void look();
    void looked(const ImageFacts& now);
    void read_answered(std::uint32_t request, std::uint32_t length);

    static int on_channel_data(ssh_session session, ssh_channel channel, void* data,
                               std::uint32_t length, int is_stderr, void* self);
    static void on_channel_end(ssh_session session, ssh_channel channel, void* self);

    const std::string& user() const;
    std::string error_text() const { return printable(ssh_get_error(session_.get())); }

    Loop& loop_;
    SftpSettings& settings_;
    SourceListener& listener_;
    const Direction direction_;
    Phase phase_ = Phase::tcp;
    bool failed_ = false;
    bool opened_ = false;
    bool channel_ended_ = false;
    std::unique_ptr<TcpConnector> connector_;
    UniqueFd known_hosts_; ///< what libssh reads
    Session session_;
    ssh_channel channel_ = nullptr; ///< owned; freed with the session
    ssh_event event_ = nullptr;     ///< owned
    ssh_channel_callbacks_struct callbacks_{};
    ssh_counter_struct counter_{};

    int methods_ = 0; ///< of login, that the server offers
    bool key_tried_ = false;
    bool password_tried_ = false;
    int prompt_rounds_ = 0;
    Key key_;

    sftp::ReplyParser parser_{*this};
    std::string fingerprint_;         ///< of the host key, once it is trusted
    std::uint32_t awaited_ = init_id; ///< the ControlRequest under way
    std::string handle_;
    ImageFacts facts_;
    /// A read whose reply has come, and the look at the file that was asked for after it.
    struct Unseen {
        std::uint32_t request;
        std::uint32_t length;
        std::uint64_t look;
    };
    std::deque<Unseen> unseen_;                                ///< in the order of their replies
    std::unordered_map<std::uint32_t, std::uint64_t> look_of_; ///< of reads under way
    std::uint64_t next_look_ = 0;
    std::uint64_t answered_looks_ = 0;
    unsigned reads_to_look_after_ = 0;
    bool first_of_batch_ = true;
    std::string outgoing_;
    std::uint64_t replies_ = 1; ///< pieces of replies so far
    Scratch scratch_;
    std::uint32_t since_top_up_ = receive_window; ///< the first top-up comes at once

    TimePoint started_ = Clock::now();
    TimePoint last_bytes_ = started_;
    std::uint64_t bytes_then_ = 0;
    Loop::Handle readable_;
    Loop::Handle writable_;
    Loop::Handle tick_;
    Loop::Handle lost_;
};

SftpSource::SftpSource(Loop& loop, SftpSettings& settings, SourceListener& listener,
                       Direction direction)
    : loop_(loop), settings_(settings), listener_(listener), direction_(direction) {
    connector_ = std::make_unique<TcpConnector>(
        loop, settings.uri.host, settings.uri.port, settings.policy,
        TcpConnector::Handlers{
            [this](UniqueFd fd) { connected(std::move(fd)); },
            [this](const Problem& p) { fail(p.status, p.detail, p.transient); }});
}

SftpSource::~SftpSource() {
    failed_ = true; // libssh may still call back while it closes
    if (event_ != nullptr) {
        ssh_event_remove_session(event_, session_.get());
        ssh_event_free(event_);
    }
    if (channel_ != nullptr)
        ssh_channel_free(channel_);
    session_.reset(); // before what its callbacks use
}

void SftpSource::fail(Status status, std::string detail, bool transient) {
    if (failed_)
        return;
    failed_ = true;
    readable_.reset();
    writable_.reset();
    tick_.reset();
    // Later, from the loop: our callers still stand on us, and libssh on them.
    lost_ = loop_.after(std::chrono::milliseconds(0),
                        [this, problem = Problem{status, std::move(detail), transient}] {
                            listener_.source_lost(problem);
                        });
}

void SftpSource::lose(const std::string& what) {
    fail(opened_ ? Status::reconnecting : Status::failed, what, true);
}

// Life of the connection

void SftpSource::connected(UniqueFd fd) {
    started_ = last_bytes_ = Clock::now();
    session_.reset(ssh_new());
    if (user().empty()) {
        refuse_login("no user is named; set username");
        return;
    }
    readable_ = loop_.watch(fd.get(), Loop::Wait::readable, [this] { advance(); });
    if (!session_ || !configure(fd.release())) { // from here on libssh's
        fail(Status::failed, "The SSH library refuses the settings of this connection.", false);
        return;
    }
    phase_ = Phase::handshake;
    tick_ = loop_.every(std::chrono::seconds(1), [this] { tick(); });
    advance();
}

bool SftpSource::configure(int fd) {
    ssh_session session = session_.get();
    const unsigned port = settings_.uri.port;
    const bool no_config_files = false;
    const auto set = [session](ssh_options_e option, const void* value) {
        return ssh_options_set(session, option, value) == SSH_OK;
    };
    ssh_set_blocking(session, 0);
    ssh_set_counters(session, &counter_, nullptr);
    return set(SSH_OPTIONS_FD, &fd) && set(SSH_OPTIONS_PROCESS_CONFIG, &no_config_files) &&
           set(SSH_OPTIONS_HOST, settings_.uri.host.c_str()) && set(SSH_OPTIONS_PORT, &port) &&
           set(SSH_OPTIONS_USER, user().c_str()) &&
           set(SSH_OPTIONS_KNOWNHOSTS, known_hosts().c_str()) &&
           set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") &&
           set(SSH_OPTIONS_CIPHERS_C_S, ciphers) && set(SSH_OPTIONS_CIPHERS_S_C, ciphers) &&
           set(SSH_OPTIONS_COMPRESSION, "no");
}

/// A file for libssh to read: the real one is out of our reach.
std::string SftpSource::known_hosts() {
    auto keys = settings_.known_hosts.empty() ? Result<UniqueFd>(UniqueFd())
                                              : settings_.steward.known_hosts();
    known_hosts_ = keys ? std::move(*keys) : UniqueFd();
    return known_hosts_ ? "/proc/self/fd/" + std::to_string(known_hosts_.get()) : "/dev/null";
}

/// As known_hosts has it, for the server at the other end.
Result<void> SftpSource::remember_host() {
    char* entry = nullptr;
    if (!known_hosts_ || ssh_session_export_known_hosts_entry(session_.get(), &entry) != SSH_OK)
        return Fault{FaultKind::internal, "There is no host key."};
    const std::string line = entry;
    ssh_string_free_char(entry);
    return settings_.steward.remember_host(line);
}

const std::string& SftpSource::user() const {
    return settings_.uri.user.empty() ? settings_.credentials.username : settings_.uri.user;
}

void SftpSource::advance() {
    while (!failed_ && phase_ != Phase::talking && step()) {
    }
    if (!failed_ && phase_ == Phase::talking)
        pump();
    // libssh answers "again" to the end of the connection in some of its calls.
    if (!failed_ && session_ended())
        lose("The server closed the connection.");
    if (!failed_)
        watch_writable();
}

bool SftpSource::session_ended() const {
    return channel_ended_ ||
           (ssh_get_status(session_.get()) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0;
}

void SftpSource::watch_writable() {
    if ((ssh_get_poll_flags(session_.get()) & SSH_WRITE_PENDING) == 0)
        writable_.reset();
    else if (!writable_)
        writable_ =
            loop_.watch(ssh_get_fd(session_.get()), Loop::Wait::writable, [this] { advance(); });
}

void SftpSource::tick() {
    const TimePoint now = Clock::now();
    if (counter_.in_bytes != bytes_then_) {
        bytes_then_ = counter_.in_bytes;
        last_bytes_ = now;
    }
    if (!opened_ && now - started_ > login_limit) {
        fail(Status::unreachable, "The SSH server did not finish the login within 15 seconds.",
             true);
    } else if (now - last_bytes_ >= silence_limit) {
        lose("The server has been silent for 9 seconds.");
    } else if (opened_ && now - last_bytes_ >= keepalive_after) {
        ssh_send_keepalive(session_.get());
        advance(); // that call may have read what had come
    }
}

/// One step of the login; true when the next one may be tried at once.
bool SftpSource::step() {
    ssh_session session = session_.get();
    switch (phase_) {
    case Phase::handshake:
        return handshake();
    case Phase::auth_none:
        return authenticated(ssh_userauth_none(session, nullptr));
    case Phase::auth_key:
        return authenticated(ssh_userauth_publickey(session, nullptr, key_.get()));
    case Phase::auth_password:
        return authenticated(
            ssh_userauth_password(session, nullptr, settings_.credentials.password.c_str()));
    case Phase::auth_interactive:
        return authenticated(answer_prompts());
    case Phase::open_channel:
        return start_channel(ssh_channel_open_session(channel_));
    case Phase::request_sftp:
        return start_sftp(ssh_channel_request_sftp(channel_));
    case Phase::tcp:
    case Phase::talking:
        break;
    }
    return false;
}

// Login

bool SftpSource::handshake() {
    const int result = ssh_connect(session_.get());
    if (result == SSH_AGAIN)
        return false;
    if (result != SSH_OK) {
        fail(Status::failed, "The SSH connection could not be set up: " + error_text() + ".", true);
        return false;
    }
    if (!check_host_key())
        return false;
    phase_ = Phase::auth_none;
    return true;
}

bool SftpSource::check_host_key() {
    ssh_key raw = nullptr;
    if (ssh_get_server_publickey(session_.get(), &raw) != SSH_OK) {
        fail(Status::failed, "The server shows no host key.", false);
        return false;
    }
    const Key key(raw);
    unsigned char* hash = nullptr;
    std::size_t size = 0;
    if (ssh_get_publickey_hash(raw, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0) {
        fail(Status::failed, "The server's host key has no fingerprint.", false);
        return false;
    }
    char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    const std::string fingerprint = text == nullptr ? "" : text;
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
    const std::string& pinned = settings_.pinned_fingerprint;
    if (pinned.empty() ? check_known_hosts(fingerprint) : pinned == fingerprint) {
        fingerprint_ = fingerprint;
        listener_.source_identified({ssh_key_type_to_char(ssh_key_type(raw)), fingerprint});
        return true;
    }
    fail(Status::host_key_changed,
         "The server " + quoted(settings_.uri.host) + " shows another host key (" + fingerprint +
             ") than the one remembered; if that is right, set forget_host_key=true, else "
             "somebody may be in between.",
         false);
    return false;
}

/// False: the key is another one (or fail() has been called).
bool SftpSource::check_known_hosts(const std::string& fingerprint) {
    if (settings_.known_hosts.empty())
        return true;
    switch (ssh_session_is_known_server(session_.get())) {
    case SSH_KNOWN_HOSTS_OK:
        return true;
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER: // a key of another type: the one we knew would have been preferred
        return false;
    case SSH_KNOWN_HOSTS_UNKNOWN:
    case SSH_KNOWN_HOSTS_NOT_FOUND:
        if (remember_host())
            return true;
        break;
    case SSH_KNOWN_HOSTS_ERROR:
        break;
    }
    fail(Status::failed,
         "The host key " + fingerprint + " cannot be remembered in " + settings_.known_hosts +
             "; check that file and its folder.",
         false);
    return false;
}

void SftpSource::refuse_login(const std::string& why) {
    fail(Status::login_refused, "No login at " + quoted(settings_.uri.host) + ": " + why + ".",
         false);
}

bool SftpSource::authenticated(int result) {
    switch (result) {
    case SSH_AUTH_AGAIN:
        return false;
    case SSH_AUTH_SUCCESS:
        channel_ = ssh_channel_new(session_.get());
        phase_ = Phase::open_channel;
        return channel_ != nullptr;
    case SSH_AUTH_PARTIAL:
    case SSH_AUTH_DENIED:
        methods_ = ssh_userauth_list(session_.get(), nullptr);
        return next_method();
    default:
        break;
    }
    // A server that has had enough says so before it hangs up; a lost connection says nothing.
    const std::string text = error_text();
    if (text.find("SSH_MSG_DISCONNECT") != std::string::npos)
        refuse_login("the server ended it (" + text + ")");
    else
        lose("The connection was lost during the login: " + text + ".");
    return false;
}

bool SftpSource::next_method() {
    const Credentials& credentials = settings_.credentials;
    if (!credentials.ssh_key.empty() && !key_tried_ &&
        (methods_ & SSH_AUTH_METHOD_PUBLICKEY) != 0) {
        key_tried_ = true;
        ssh_key raw = nullptr;
        if (ssh_pki_import_privkey_base64(credentials.ssh_key.c_str(), nullptr, nullptr, nullptr,
                                          &raw) != SSH_OK) {
            refuse_login("ssh_key is not a private key in OpenSSH or PEM form without passphrase");
            return false;
        }
        key_.reset(raw);
        phase_ = Phase::auth_key;
        return true;
    }
    if (!credentials.password.empty() && !password_tried_ &&
        (methods_ & (SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE)) != 0) {
        password_tried_ = true; // once, by either way: two tries may lock an account
        phase_ = (methods_ & SSH_AUTH_METHOD_PASSWORD) != 0 ? Phase::auth_password
                                                            : Phase::auth_interactive;
        return true;
    }
    if (!key_tried_ && !password_tried_)
        refuse_login("the server wants a password or a key for user " + quoted(user()) +
                     "; set password or ssh_key");
    else
        refuse_login("the server refuses user " + quoted(user()) +
                     "; check username, password and ssh_key");
    return false;
}

int SftpSource::answer_prompts() {
    constexpr int max_rounds = 4;
    ssh_session session = session_.get();
    int result = ssh_userauth_kbdint(session, nullptr, nullptr);
    while (result == SSH_AUTH_INFO && prompt_rounds_++ < max_rounds) {
        const int prompts = ssh_userauth_kbdint_getnprompts(session);
        for (int i = 0; i < prompts; ++i) {
            char echo = 0;
            ssh_userauth_kbdint_getprompt(session, static_cast<unsigned>(i), &echo);
            ssh_userauth_kbdint_setanswer(session, static_cast<unsigned>(i),
                                          echo != 0 ? "" : settings_.credentials.password.c_str());
        }
        result = ssh_userauth_kbdint(session, nullptr, nullptr);
    }
    return result == SSH_AUTH_INFO ? SSH_AUTH_DENIED : result;
}

bool SftpSource::start_channel(int result) {
    if (result == SSH_AGAIN)
        return false;
    if (result != SSH_OK) {
        lose("The server opens no session: " + error_text() + ".");
        return false;
    }
    callbacks_.userdata = this;
    callbacks_.channel_data_function = on_channel_data;
    callbacks_.channel_eof_function = on_channel_end;
    callbacks_.channel_close_function = on_channel_end;
    ssh_callbacks_init(&callbacks_);
    ssh_set_channel_callbacks(channel_, &callbacks_);
    phase_ = Phase::request_sftp;
    return true;
}

bool SftpSource::start_sftp(int result) {
    if (result == SSH_AGAIN)
        return false;
    if (result != SSH_OK && session_ended()) {
        lose("The connection was lost during the login: " + error_text() + ".");
        return false;
    }
    if (result != SSH_OK) {
        fail(Status::failed, "The server offers no SFTP to this user; enable its sftp subsystem.",
             false);
        return false;
    }
    event_ = ssh_event_new();
    if (event_ == nullptr || ssh_event_add_session(event_, session_.get()) != SSH_OK) {
        fail(Status::failed, "The SSH library has no memory left.", false);
        return false;
    }
    phase_ = Phase::talking;
    outgoing_ += sftp::init_request();
    flush();
    return true;
}

// SFTP

void SftpSource::read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) {
    outgoing_ += sftp::read_request(request, handle_, offset, length);
    look_of_[request] = next_look_;
    // The first one is waited for; those after it are read ahead.
    if (++reads_to_look_after_ == (first_of_batch_ ? 1 : reads_per_look))
        look();
    first_of_batch_ = false;
}

/// The file may be written to while we read. Its size and time, asked for after a read (a server
/// answers in order), vouch for what was read; only then is it given away.
void SftpSource::look() {
    if (reads_to_look_after_ == 0)
        return;
    reads_to_look_after_ = 0;
    ++next_look_;
    outgoing_ += sftp::fstat_request(look_id, handle_);
}

void SftpSource::looked(const ImageFacts& now) {
    if (answered_looks_ == next_look_)
        return lose("The server answers an SFTP request nobody made.");
    if (now != facts_)
        return lose("The file on the server has changed.");
    const std::uint64_t look = answered_looks_++;
    while (!failed_ && !unseen_.empty() && unseen_.front().look <= look) {
        const Unseen seen = unseen_.front();
        unseen_.pop_front();
        listener_.source_received(seen.request, seen.length);
    }
}

void SftpSource::read_answered(std::uint32_t request, std::uint32_t length) {
    const auto asked = look_of_.find(request);
    if (asked == look_of_.end())
        return lose("The server answers an SFTP request nobody made.");
    std::uint64_t look = asked->second;
    look_of_.erase(asked);
    if (look < answered_looks_) { // not answered in order: another look
        look = next_look_;
        ++reads_to_look_after_;
    }
    unseen_.push_back({request, length, look});
}

void SftpSource::write(std::uint32_t request, std::uint64_t offset, std::string_view bytes) {
    outgoing_ += sftp::write_request(request, handle_, offset, bytes);
}

void SftpSource::close(std::uint32_t request) {
    outgoing_ += sftp::close_request(request, handle_);
}

void SftpSource::flush() {
    look();
    first_of_batch_ = true;
    if (failed_ || outgoing_.empty() || phase_ != Phase::talking)
        return;
    // Moved out: libssh may read replies on the way, and these may add requests.
    std::string sending = std::exchange(outgoing_, {});
    const int written =
        ssh_channel_write(channel_, sending.data(), static_cast<std::uint32_t>(sending.size()));
    if (written == SSH_ERROR)
        lose("The connection to the server was lost: " + error_text() + ".");
    const std::size_t done = written > 0 ? static_cast<std::size_t>(written) : 0;
    if (done < sending.size())
        outgoing_.insert(0, sending, done);
    // After each write libssh wants to hear that it may write on, even if nothing is left. The
    // socket says so at once nearly always, and a watch would cost ten calls of the kernel.
    if (!failed_ && done == sending.size() && ssh_event_dopoll(event_, 0) == SSH_ERROR)
        lose("The connection to the server was lost: " + error_text() + ".");
    if (!failed_)
        watch_writable();
}

void SftpSource::pump() {
    int result = SSH_OK;
    for (int i = 0; i < reads_per_turn && result >= 0 && !failed_; ++i)
        result = ssh_event_dopoll(event_, 0); // SSH_AGAIN: nothing more to read now
    if (result == SSH_ERROR || session_ended())
        lose("The server closed the connection.");
    top_up_window();
    // libssh may read replies while it sends, and these again want something sent.
    for (std::uint64_t seen = replies_ - 1; !failed_ && seen != replies_;) {
        seen = replies_;
        if (opened_)
            listener_.source_ready();
        flush();
    }
}

void SftpSource::top_up_window() {
    if (failed_ || since_top_up_ < window_top_up || scratch_.get() == nullptr)
        return;
    since_top_up_ = 0;
    // Asking to read this much makes libssh 0.10 widen the receive window; later versions have a
    // fixed one and ignore it. What it would return has already gone through on_channel_data.
    const int count = ssh_channel_read_timeout(channel_, scratch_.get(), receive_window, 0, 0);
    if (count > 0)
        feed({scratch_.get(), static_cast<std::size_t>(count)});
}

int SftpSource::on_channel_data(ssh_session, ssh_channel, void* data, std::uint32_t length,
                                int is_stderr, void* self) {
    auto& source = *static_cast<SftpSource*>(self);
    if (is_stderr == 0 && !source.failed_) {
        source.since_top_up_ += length;
        source.feed({static_cast<const char*>(data), length});
    }
    return static_cast<int>(length);
}

void SftpSource::on_channel_end(ssh_session, ssh_channel, void* self) {
    static_cast<SftpSource*>(self)->channel_ended_ = true;
}

void SftpSource::feed(std::span<const char> bytes) {
    ++replies_;
    if (const auto fed = parser_.feed(bytes); !fed)
        lose(fed.fault().message);
}

void SftpSource::ask(ControlRequest request, std::string packet) {
    awaited_ = request;
    outgoing_ += packet;
}

/// A server may answer the request under way and nothing else; else it could fill our memory.
bool SftpSource::awaited(std::uint32_t id) {
    if (!failed_ && id != awaited_)
        lose("The server answers an SFTP request nobody made.");
    return !failed_;
}

void SftpSource::on_version(std::uint32_t version) {
    if (!awaited(init_id))
        return;
    if (version < 3)
        fail(Status::failed,
             "The server speaks SFTP version " + std::to_string(version) +
                 "; at least version 3 is needed.",
             false);
    if (direction_ == Direction::writing) {
        ask(open_id, sftp::create_request(open_id, settings_.uri.path));
        return;
    }
    // Looking before opening: opening a device or a FIFO has effects.
    ask(stat_id, sftp::stat_request(stat_id, settings_.uri.path));
}

void SftpSource::file_refused(std::uint32_t code) {
    const std::string file = quoted(settings_.uri.path);
    if (code == sftp::status_no_such_file)
        fail(Status::no_such_file, "The server has no file " + file + "; check the path.", false);
    else if (code == sftp::status_permission_denied)
        fail(Status::permission_denied,
             "User " + quoted(user()) + " may not " +
                 (direction_ == Direction::reading ? "read " : "write ") + file +
                 "; check its permissions there.",
             false);
    else
        fail(Status::failed,
             "The server cannot open " + file + " (SFTP status " + std::to_string(code) + ").",
             false);
}

void SftpSource::on_status(std::uint32_t id, std::uint32_t code) {
    if (failed_)
        return;
    if (opened_ && direction_ == Direction::reading && code == sftp::status_end_of_file)
        read_answered(id, 0);
    else if (opened_ && direction_ == Direction::writing && code == sftp::status_ok)
        listener_.source_received(id, 0);
    else if (opened_ && id == look_id)
        lose("The server cannot tell whether the file has changed.");
    else if (opened_)
        look_of_.erase(id), listener_.source_read_failed(id);
    else if (awaited(id))
        file_refused(code);
}

bool SftpSource::is_image(const sftp::Attributes& attributes) {
    const std::string file = quoted(settings_.uri.path);
    if (attributes.permissions && !S_ISREG(*attributes.permissions))
        fail(Status::not_a_regular_file, file + " is no regular file; name the image itself.",
             false);
    else if (!attributes.size || *attributes.size > largest_image)
        fail(Status::failed, "The server does not tell a sound size of " + file + ".", false);
    else if (*attributes.size < settings_.least_size)
        fail(Status::too_short,
             file + " has only " + std::to_string(*attributes.size) +
                 " bytes, less than one sector; it is no image.",
             false);
    return !failed_;
}

void SftpSource::on_attributes(std::uint32_t id, const sftp::Attributes& attributes) {
    // Only STAT and FSTAT are answered with attributes.
    if (opened_ && id == look_id && direction_ == Direction::reading)
        return failed_ ? void()
                       : looked({attributes.size.value_or(0), attributes.modified.value_or(0), {}});
    if (!awaited(id == stat_id || id == fstat_id ? id : unasked_id) || !is_image(attributes))
        return;
    if (id == stat_id) {
        ask(open_id, sftp::open_request(open_id, settings_.uri.path));
        return;
    }
    awaited_ = none_id;
    opened_ = true;
    settings_.pinned_fingerprint = fingerprint_;
    facts_ = {*attributes.size, attributes.modified.value_or(0), {}};
    listener_.source_opened(facts_);
}

void SftpSource::on_handle(std::uint32_t id, std::string_view handle) {
    if (!awaited(id == open_id ? id : unasked_id)) // only OPEN is answered with a handle
        return;
    handle_ = handle;
    if (direction_ == Direction::writing) {
        became_writable();
        return;
    }
    ask(fstat_id, sftp::fstat_request(fstat_id, handle_));
}

void SftpSource::became_writable() {
    awaited_ = none_id;
    opened_ = true;
    settings_.pinned_fingerprint = fingerprint_;
    listener_.source_opened({});
}

std::span<char> SftpSource::room_for(std::uint32_t id, std::uint32_t length) {
    return opened_ && !failed_ && direction_ == Direction::reading
               ? listener_.source_room(id, length)
               : std::span<char>();
}

void SftpSource::on_data(std::uint32_t id, std::uint32_t length) {
    if (!failed_)
        read_answered(id, length);
}

} // namespace

std::unique_ptr<Source> open_sftp(Loop& loop, SftpSettings& settings, SourceListener& listener) {
    return std::make_unique<SftpSource>(loop, settings, listener, Direction::reading);
}

std::unique_ptr<Sink> open_sftp_sink(Loop& loop, SftpSettings& settings, SourceListener& listener) {
    return std::make_unique<SftpSource>(loop, settings, listener, Direction::writing);
}

} // namespace lom::media
