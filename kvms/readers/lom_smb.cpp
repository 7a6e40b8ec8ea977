// lom-smb: reads one file from an SMB server (libsmbclient, SMB 2 and 3) for lom-media, one range
// after the other; lom-media starts several. The user may be DOMAIN\NAME; no name: a guest.
//
// Others may not write to the file by SMB while it is open here. It is let go whenever nothing is
// to be read: as long as anybody has a file open, Samba tells the time that it had when it was
// opened first, also when the server's own machine has written to it.
#include "kvms/media/sources/reader_wire.h"
#include "kvms/readers/reader.h"

#include <libsmbclient.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <vector>

namespace {

using namespace lom;
using media::Problem;
using media::Status;

constexpr int answer_limit = 8000;                 // milliseconds
constexpr int idle_limit = 500;                    // likewise
constexpr std::uint32_t longest_order = 8U << 20U; // more than lom-media ever asks for

std::string escaped(const std::string& text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || std::string_view("/-._").find(c) != std::string_view::npos) {
            result += c;
            continue;
        }
        result += '%';
        result += digits[byte >> 4U];
        result += digits[byte & 0xfU];
    }
    return result;
}

void put(const std::string& text, char* field, int size) {
    std::strncpy(field, text.c_str(), static_cast<std::size_t>(size) - 1);
    field[size - 1] = '\0';
}

/// libsmbclient's question; it has no other way to hear a password.
void tell_login(SMBCCTX* context, const char*, const char*, char* domain, int domain_size,
                char* user, int user_size, char* password, int password_size) {
    const auto& task = *static_cast<const readers::Task*>(smbc_getOptionUserData(context));
    const std::size_t backslash = task.username.find('\\');
    if (backslash != std::string::npos)
        put(task.username.substr(0, backslash), domain, domain_size);
    put(backslash == std::string::npos ? task.username : task.username.substr(backslash + 1), user,
        user_size);
    put(task.password, password, password_size);
}

Problem problem_of(int error, const std::string& path) {
    const std::string reason = std::strerror(error);
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
        return {Status::no_such_file,
                "The server has no '" + path + "'; write the path as /SHARE/FILE.", false};
    case EACCES:
    case EPERM:
        return {Status::permission_denied, "The server does not let us read '" + path + "'.",
                false};
    case EBUSY:
    case ETXTBSY:
        return {Status::failed, "Somebody writes to '" + path + "' on the server just now.", true};
    default:
        return {Status::failed, "The SMB server refused: " + reason + ".", true};
    }
}

media::ImageFacts facts_of(const struct stat& about) {
    return {static_cast<std::uint64_t>(about.st_size), about.st_mtime};
}

/// The one file, open.
class Image {
  public:
    explicit Image(const readers::Task& task)
        : task_(task),
          server_(task.address.find(':') == std::string::npos ? "smb://" + task.address
                                                              : "smb://[" + task.address + "]") {}
    std::optional<Problem> open();
    const media::ImageFacts& facts() const { return facts_; }
    void let_go();
    /// Open, now or again, and the one that it was at first.
    bool take_up();
    ssize_t read(std::uint64_t offset, std::span<char> room);
    /// Asked after a read: only then is what was read given away.
    bool still_the_same() const;

  private:
    void make_context();
    bool open_file();
    bool opens(const std::string& folder) const;
    bool logged_in() const;
    std::optional<Problem> problem() const;

    const readers::Task& task_;
    const std::string server_;   ///< its URL
    SMBCCTX* context_ = nullptr; ///< goes with the process, as does the file
    SMBCFILE* file_ = nullptr;
    media::ImageFacts facts_;
};

void Image::make_context() {
    context_ = smbc_new_context();
    smbc_setOptionUserData(context_, const_cast<readers::Task*>(&task_));
    smbc_setFunctionAuthDataWithContext(context_, tell_login);
    smbc_setOptionUseKerberos(context_, 0);
    smbc_setOptionOpenShareMode(context_, SMBC_SHAREMODE_DENY_WRITE);
    smbc_setOptionNoAutoAnonymousLogin(context_, task_.username.empty() ? 0 : 1);
    smbc_setOptionDebugToStderr(context_, 1);
    smbc_setTimeout(context_, answer_limit);
    smbc_setPort(context_, task_.port);
    if (smbc_init_context(context_) != nullptr)
        smbc_setOptionProtocols(context_, "SMB2", "SMB3");
}

bool Image::opens(const std::string& folder) const {
    SMBCFILE* const open = smbc_getFunctionOpendir(context_)(context_, folder.c_str());
    if (open != nullptr)
        smbc_getFunctionClosedir(context_)(context_, open);
    return open != nullptr;
}

/// "Access denied" is said of a login, a share and a file alike. Whoever is logged in may look into
/// the share, or if that is closed to him see the list of shares, where the server gives one.
bool Image::logged_in() const {
    const std::string share = task_.path.substr(0, task_.path.find('/', 1));
    return opens(server_ + escaped(share)) || opens(server_);
}

std::optional<Problem> Image::problem() const {
    const int error = errno;
    if ((error == EACCES || error == EPERM) && !logged_in())
        return Problem{Status::login_refused,
                       "The server refused the login; check username and password.", false};
    return problem_of(error, task_.path);
}

bool Image::open_file() {
    const std::string url = server_ + escaped(task_.path);
    file_ = smbc_getFunctionOpen(context_)(context_, url.c_str(), O_RDONLY, 0);
    return file_ != nullptr;
}

std::optional<Problem> Image::open() {
    make_context();
    if (!open_file())
        return errno == EISDIR
                   ? Problem{Status::not_a_regular_file,
                             "'" + task_.path + "' on the server is a folder; name the image.",
                             false}
                   : problem();
    struct stat about {};
    if (smbc_getFunctionFstat(context_)(context_, file_, &about) != 0)
        return problem();
    if (!S_ISREG(about.st_mode))
        return Problem{Status::not_a_regular_file,
                       "'" + task_.path + "' on the server is not a file; name the image.", false};
    facts_ = facts_of(about);
    return std::nullopt;
}

void Image::let_go() {
    if (file_ != nullptr)
        smbc_getFunctionClose(context_)(context_, file_);
    file_ = nullptr;
}

bool Image::take_up() { return file_ != nullptr || (open_file() && still_the_same()); }

ssize_t Image::read(std::uint64_t offset, std::span<char> room) {
    if (smbc_getFunctionLseek(context_)(context_, file_, static_cast<off_t>(offset), SEEK_SET) < 0)
        return -1;
    return smbc_getFunctionRead(context_)(context_, file_, room.data(), room.size());
}

bool Image::still_the_same() const {
    struct stat about {};
    return smbc_getFunctionFstat(context_)(context_, file_, &about) == 0 &&
           facts_of(about) == facts_;
}

void wait_for_order(Image& image) {
    pollfd orders{STDIN_FILENO, POLLIN, 0};
    if (poll(&orders, 1, idle_limit) == 0)
        image.let_go();
}

void serve(Image& image) {
    std::vector<char> bytes;
    media::ReadOrder order;
    while (wait_for_order(image),
           readers::receive_all({reinterpret_cast<char*>(&order), sizeof order})) {
        if (order.length > longest_order || !image.take_up())
            return; // lom-media begins anew, and hears what is wrong
        bytes.resize(order.length);
        const ssize_t count = image.read(order.offset, bytes);
        const bool refused = count < 0 && (errno == EACCES || errno == EPERM);
        if ((count < 0 && !refused) || !image.still_the_same())
            return; // lom-media begins anew
        const media::ReadAnswer answer{
            order.request, count < 0 ? media::read_refused : static_cast<std::uint32_t>(count)};
        if (!readers::send_all({reinterpret_cast<const char*>(&answer), sizeof answer}) ||
            !readers::send_all(std::span(bytes).first(count < 0 ? 0 : answer.length)))
            return;
    }
}

} // namespace

int main() {
    if (const auto done = readers::confine(); !done) {
        readers::say({Status::failed, done.fault().message, false});
        _exit(1);
    }
    const auto task = readers::receive_task();
    if (!task) {
        std::cerr << "lom-smb is started by lom-media and is of no use alone.\n";
        _exit(2);
    }
    Image image(*task);
    if (const auto problem = image.open())
        readers::say(*problem);
    else if (readers::say_opened(image.facts()))
        serve(image);
    _exit(0); // not return: libsmbclient would say goodbye to a server that may not listen
}
