#include "shell/ssh/connection.h"

#include "base/base64.h"
#include "shell/grammar.h"
#include "shell/interpreter.h"
#include "shell/ssh/signature_tap.h"
#include "shell/text.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

// libssh would rather have callbacks, but has none for keyboard-interactive.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lom::shell {

using namespace std::chrono_literals;

namespace {

constexpr auto exchange_limit = 15s; ///< for strangers who say nothing
constexpr auto login_grace = 60s;
constexpr auto resume_pause = 500ms;
constexpr int login_tries = 3;
constexpr std::size_t most_channels = 10;
constexpr std::size_t most_passphrase = 1024;
constexpr int most_keys = 20; ///< that an agent may offer
constexpr int login_methods =
    SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE;

// Answers to libssh: it sends its refusal itself when a message was not handled.
constexpr int handled = 0;
constexpr int refused = 1;

struct Algorithm {
    ssh_bind_options_e option;
    const char* names;
};
// What is modern and has no known weakness; chacha20 is safe from prefix truncation because libssh
// speaks strict key exchange, and the MACs are all encrypt-then-MAC.
constexpr Algorithm algorithms[] = {
    {SSH_BIND_OPTIONS_KEY_EXCHANGE,
     "curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group16-sha512,"
     "diffie-hellman-group18-sha512"},
    {SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES,
     "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,"
     "rsa-sha2-256"},
    {SSH_BIND_OPTIONS_CIPHERS_C_S, "aes256-gcm@openssh.com,aes128-gcm@openssh.com,"
                                   "chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr"},
    {SSH_BIND_OPTIONS_CIPHERS_S_C, "aes256-gcm@openssh.com,aes128-gcm@openssh.com,"
                                   "chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr"},
    {SSH_BIND_OPTIONS_HMAC_C_S, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"},
    {SSH_BIND_OPTIONS_HMAC_S_C, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com"},
};

// The kernel finds clients that are gone without a word, and costs nothing while they are quiet.
void watch_for_dead_clients(int fd) {
    const auto set = [fd](int level, int name, int value) {
        setsockopt(fd, level, name, &value, sizeof(value));
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 120'000);
    set(IPPROTO_TCP, TCP_NODELAY, 1);
}

/// What scp -O runs on the other side: scp [-v] [-r] [-p] [-d] -t|-f PATH.
bool is_old_scp(std::string_view command) {
    return command.starts_with("scp ") && (command.find(" -t") != std::string_view::npos ||
                                           command.find(" -f") != std::string_view::npos);
}

} // namespace

Result<ServerSettings> server_settings(std::vector<SshKey> host_keys) {
    const Fault broken{FaultKind::internal, "libssh refuses its settings."};
    ServerSettings bind(ssh_bind_new());
    const bool no_config_file = false;
    if (!bind ||
        ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_PROCESS_CONFIG, &no_config_file) < 0 ||
        ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_BANNER, "OpenLOM_" LOM_VERSION) < 0)
        return broken;
    for (const Algorithm& algorithm : algorithms)
        if (ssh_bind_options_set(bind.get(), algorithm.option, algorithm.names) < 0)
            return broken;
    for (SshKey& key : host_keys)
        if (ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_IMPORT_KEY, key.release()) < 0)
            return broken;
    return bind;
}

Connection::Connection(Options options, control::Client client)
    : options_(std::move(options)), client_(std::move(client)) {}

Connection::~Connection() {
    channels_.clear();
    screens_.clear();
    if (event_ && session_)
        ssh_event_remove_session(event_, session_);
    if (session_) {
        ssh_blocking_flush(session_, 500); // a last refusal
        ssh_disconnect(session_);
        ssh_free(session_);
    }
    if (event_)
        ssh_event_free(event_);
}

Result<void> Connection::prepare() {
    session_ = ssh_new();
    event_ = ssh_event_new();
    if (!session_ || !event_)
        return Fault{FaultKind::internal, "There is no memory for a session."};
    const int fd = options_.socket.get();
    watch_for_dead_clients(fd);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); // libssh leaves it as it is
    if (ssh_bind_accept_fd(options_.bind, session_, fd) != SSH_OK)
        return Fault{FaultKind::internal, ssh_get_error(options_.bind)};
    (void)options_.socket.release(); // libssh closes it
    ssh_set_message_callback(session_, &Connection::on_message, this);
    ssh_set_auth_methods(session_, login_methods);
    ssh_set_blocking(session_, 0);
    return {};
}

Result<void> Connection::run() {
    grace_end_ = Clock::now() + exchange_limit;
    if (auto prepared = prepare(); !prepared)
        return prepared;
    int exchanged = ssh_handle_key_exchange(session_);
    ssh_event_add_session(event_, session_); // has no descriptor before that first call
    while (exchanged == SSH_AGAIN && turn())
        exchanged = ssh_handle_key_exchange(session_);
    grace_end_ = Clock::now() + login_grace;
    while (exchanged == SSH_OK && turn())
        ;
    return {};
}

int Connection::timeout() const {
    std::optional<Clock::time_point> due;
    if (!authenticated_)
        due = grace_end_;
    else if (client_.fd() < 0)
        due = next_resume_;
    for (const auto& screen : screens_)
        if (const auto forward_due = screen->due())
            due = std::min(due.value_or(*forward_due), *forward_due);
    if (!due)
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - Clock::now());
    return static_cast<int>(std::max<long>(left.count(), 0));
}

// One wait and what follows from it; false: the connection is over.
bool Connection::turn() {
    const bool sending = (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) != 0;
    std::vector<pollfd> entries;
    const short wanted = sending ? POLLIN | POLLOUT : POLLIN;
    entries.push_back({ssh_get_fd(session_), wanted, 0});
    entries.push_back({client_.fd(), POLLIN, 0});
    for (const auto& channel : channels_)
        channel->add_to(entries, !sending);
    for (const auto& screen : screens_)
        screen->add_to(entries, !sending);
    if (poll(entries.data(), entries.size(), timeout()) < 0 && errno != EINTR)
        return false;
    if (!authenticated_ && Clock::now() >= grace_end_)
        return false;
    if (entries[1].revents != 0 || client_.fd() < 0)
        check_lomd();
    if (ssh_event_dopoll(event_, 0) == SSH_ERROR || over_ || !ssh_is_connected(session_))
        return false;
    return pump_channels();
}

bool Connection::pump_channels() {
    // By index: libssh may take packets in while a channel is read, and add to the list.
    for (std::size_t i = 0; i < channels_.size(); ++i) {
        const bool may_send = (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) == 0;
        channels_[i]->pump(may_send);
        if (channels_[i]->overrun())
            return false;
    }
    for (std::size_t i = 0; i < screens_.size(); ++i) {
        screens_[i]->pump((ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) == 0);
        if (screens_[i]->overrun())
            return false;
    }
    std::erase_if(channels_, [](const auto& channel) { return channel->finished(); });
    tell_of_activity();
    std::erase_if(screens_, [](const auto& screen) { return screen->finished(); });
    return ssh_is_connected(session_) != 0 && !over_;
}

// Now and then is enough: lomd counts idle minutes.
void Connection::tell_of_activity() {
    for (const auto& channel : channels_)
        if (const auto session = channel->take_activity())
            (void)client_.note_activity(*session);
}

// Readable means that lomd closed our connection: it restarts, or our session is ended.
void Connection::check_lomd() {
    if (!authenticated_) {
        over_ = true;
        return;
    }
    if (client_.fd() < 0 && Clock::now() < next_resume_)
        return;
    // Short, because the channels wait meanwhile; their own connections are theirs.
    const auto resumed = client_.resume(100ms);
    over_ = !resumed && resumed.fault().kind == FaultKind::denied;
    next_resume_ = Clock::now() + resume_pause;
}

// -- what the client asks for

int Connection::on_message(ssh_session, ssh_message message, void* self) {
    return static_cast<Connection*>(self)->answer(message);
}

int Connection::answer(ssh_message message) {
    switch (ssh_message_type(message)) {
    case SSH_REQUEST_SERVICE:
        if (ssh_message_service_reply_success(message) != SSH_OK)
            return refused;
        send_connect_message();
        return handled;
    case SSH_REQUEST_AUTH:
        return answer_login(message);
    case SSH_REQUEST_CHANNEL_OPEN:
        return answer_open(message);
    case SSH_REQUEST_CHANNEL:
        return answer_request(message);
    default:
        return refused; // port forwards and the like
    }
}

void Connection::send_connect_message() {
    const std::string text = message_text(client_.hello().connect_message, "\r\n");
    if (text.empty() || authenticated_)
        return;
    if (ssh_string banner = ssh_string_from_char(text.c_str())) {
        ssh_send_issue_banner(session_, banner);
        ssh_string_free(banner);
    }
}

int Connection::answer_login(ssh_message message) {
    ssh_message_auth_set_methods(message, login_methods);
    if (authenticated_)
        return refused;
    switch (ssh_message_subtype(message)) {
    case SSH_AUTH_METHOD_PASSWORD:
        return check_password(message, ssh_message_auth_user(message),
                              ssh_message_auth_password(message));
    case SSH_AUTH_METHOD_INTERACTIVE:
        return answer_interactive(message);
    case SSH_AUTH_METHOD_PUBLICKEY:
        return answer_key(message);
    default:
        return refused;
    }
}

int Connection::answer_interactive(ssh_message message) {
    if (!ssh_message_auth_kbdint_is_response(message)) {
        const char* username = ssh_message_auth_user(message);
        asked_username_ = username ? username : "";
        const char* prompts[] = {"Password: "};
        char echo[] = {0};
        return ssh_message_auth_interactive_request(message, "", "", 1, prompts, echo) == SSH_OK
                   ? handled
                   : refused;
    }
    const bool one_answer = ssh_userauth_kbdint_getnanswers(session_) == 1;
    return check_password(message, asked_username_,
                          one_answer ? ssh_userauth_kbdint_getanswer(session_, 0) : nullptr);
}

// lomd knows the keys, and checks the signature again by itself.
int Connection::answer_key(ssh_message message) {
    if (++keys_tried_ >= most_keys)
        over_ = true;
    char* text = nullptr;
    if (ssh_pki_export_pubkey_base64(ssh_message_auth_pubkey(message), &text) != SSH_OK)
        return refused;
    const std::string key(text);
    ssh_string_free_char(text);
    const std::string username = ssh_message_auth_user(message);
    const auto state = ssh_message_auth_publickey_state(message);
    if (state == SSH_PUBLICKEY_STATE_NONE)
        return client_.would_accept(username, key, options_.source) &&
                       ssh_message_auth_reply_pk_ok_simple(message) == SSH_OK
                   ? handled
                   : refused;
    const auto checked = take_checked_signature();
    if (state != SSH_PUBLICKEY_STATE_VALID || !checked ||
        !client_.authenticate_key(username, key, to_base64(checked->signed_data),
                                  to_base64(checked->signature), options_.source))
        return refused;
    authenticated_ = true;
    over_ = false; // it was the last one, and the right one
    return ssh_message_auth_reply_success(message, 0) == SSH_OK ? handled : refused;
}

int Connection::check_password(ssh_message message, const std::string& username,
                               const char* password) {
    constexpr std::size_t longest_name = 256;
    bool correct = false;
    if (password && username.size() <= longest_name) {
        const std::string given = std::string(password).substr(0, most_passphrase);
        // lomd answers a wrong one late, on purpose.
        correct = static_cast<bool>(client_.authenticate(username, given, options_.source));
    }
    if (correct) {
        authenticated_ = true;
        return ssh_message_auth_reply_success(message, 0) == SSH_OK ? handled : refused;
    }
    // The last refusal still goes out before the connection ends.
    over_ = ++failures_ >= login_tries;
    return refused;
}

int Connection::answer_open(ssh_message message) {
    if (!authenticated_ || channels_.size() + screens_.size() >= most_channels)
        return refused;
    if (ssh_message_subtype(message) == SSH_CHANNEL_DIRECT_TCPIP)
        return answer_forward(message);
    if (ssh_message_subtype(message) != SSH_CHANNEL_SESSION)
        return refused;
    ssh_channel channel = ssh_message_channel_request_open_reply_accept(message);
    if (!channel)
        return refused;
    channels_.push_back(std::make_unique<Channel>(channel));
    return handled;
}

Channel* Connection::find(ssh_channel handle) {
    for (const auto& channel : channels_)
        if (channel->handle() == handle)
            return channel.get();
    return nullptr;
}

// ssh -L 5900:kvm:5900: the screen, with the account's rights, and nothing else.
int Connection::answer_forward(ssh_message message) {
    const char* host = ssh_message_channel_request_open_destination(message);
    if (!host || host != ScreenForward::host)
        return refused;
    auto control = client_.open_session("screen");
    auto session = control ? control::Client::from_fd(std::move(control->fd), ".")
                           : Result<control::Client>(control.fault());
    if (!session)
        return refused;
    control::RunRequest request;
    request.target = "/HOST/screen";
    request.verb = "start";
    auto screen = session->run(request);
    if (!screen || !screen->fd)
        return refused;
    ssh_channel channel = ssh_message_channel_request_open_reply_accept(message);
    if (!channel)
        return refused;
    screens_.push_back(
        std::make_unique<ScreenForward>(channel, std::move(*session), std::move(screen->fd)));
    return handled;
}

int Connection::answer_request(ssh_message message) {
    Channel* channel = find(ssh_message_channel_request_channel(message));
    if (!channel)
        return refused;
    const auto done = [message] {
        return ssh_message_channel_request_reply_success(message) == SSH_OK ? handled : refused;
    };
    switch (ssh_message_subtype(message)) {
    case SSH_CHANNEL_REQUEST_PTY:
        if (channel->started())
            return refused;
        channel->set_terminal(ssh_message_channel_request_pty_term(message),
                              ssh_message_channel_request_pty_width(message),
                              ssh_message_channel_request_pty_height(message));
        return done();
    case SSH_CHANNEL_REQUEST_WINDOW_CHANGE:
        channel->resize(ssh_message_channel_request_pty_width(message),
                        ssh_message_channel_request_pty_height(message));
        return done();
    case SSH_CHANNEL_REQUEST_SHELL:
        return start(message, *channel, "shell", {});
    case SSH_CHANNEL_REQUEST_EXEC: {
        const char* command = ssh_message_channel_request_command(message);
        if (!command || std::string_view(command).size() > longest_line)
            return refused;
        if (is_old_scp(command)) {
            if (done() == refused)
                return refused;
            channel->refuse("The old scp protocol is not spoken here; leave out scp's -O.",
                            status::of(FaultKind::usage));
            return handled;
        }
        // An empty command line is a command that does nothing, not a shell.
        return start(message, *channel, "exec", {"--command", *command == '\0' ? " " : command});
    }
    case SSH_CHANNEL_REQUEST_SUBSYSTEM: {
        const char* name = ssh_message_channel_request_subsystem(message);
        if (!name || std::string_view(name) != "sftp")
            return refused;
        return start(message, *channel, "sftp", {"--sftp"});
    }
    default:
        return refused; // environment, X11
    }
}

int Connection::start(ssh_message message, Channel& channel, const std::string& type,
                      const std::vector<std::string>& arguments) {
    if (channel.started())
        return refused;
    auto control = client_.open_session(type);
    if (!control && client_.fd() < 0 && client_.resume(10s)) // lomd restarted just now
        control = client_.open_session(type);
    Result<void> started = control ? channel.start(options_.lom, std::move(*control), arguments)
                                   : Result<void>(control.fault());
    if (ssh_message_channel_request_reply_success(message) != SSH_OK)
        return refused;
    if (!started)
        channel.refuse(started.fault().message, status::of(started.fault().kind));
    return handled;
}

} // namespace lom::shell
