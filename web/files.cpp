#include "web/files.h"

#include "web/digest.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

namespace lom::web {

namespace {

constexpr std::int64_t longest_file = 8 << 20;
constexpr std::size_t most_files = 500;

constexpr std::array<std::pair<std::string_view, std::string_view>, 13> types{
    {{".html", "text/html; charset=utf-8"},
     {".js", "text/javascript; charset=utf-8"},
     {".mjs", "text/javascript; charset=utf-8"},
     {".css", "text/css; charset=utf-8"},
     {".json", "application/json"},
     {".webmanifest", "application/manifest+json"},
     {".svg", "image/svg+xml"},
     {".png", "image/png"},
     {".ico", "image/x-icon"},
     {".woff2", "font/woff2"},
     {".txt", "text/plain; charset=utf-8"},
     {".wasm", "application/wasm"},
     {".map", "application/json"}}};

std::string_view type_of(const std::string& name) {
    for (const auto& [ending, type] : types)
        if (name.ends_with(ending))
            return type;
    return {};
}

/// Letters, digits, `-`, `_`, `.` and `/`, no part that begins with a dot.
bool is_plain(const std::string& name) {
    return !name.empty() && name.size() < 200 && name[0] != '.' && name[0] != '/' &&
           name.find("/.") == std::string::npos && name.find("//") == std::string::npos &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
                                  "./") == std::string::npos;
}

Response not_found() {
    Response response;
    response.status = 404;
    response.body = "There is nothing at this address.\n";
    return std::move(response.with("Content-Type", "text/plain; charset=utf-8"));
}

} // namespace

const Files::File* Files::find(const std::string& name) {
    struct stat now {};
    const UniqueFd fd(folder_ ? openat(folder_.get(), name.c_str(),
                                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
                              : -1);
    if (!fd || fstat(fd.get(), &now) < 0 || !S_ISREG(now.st_mode) || now.st_size > longest_file)
        return nullptr;
    const auto found = files_.find(name);
    if (found != files_.end() &&
        found->second.changed == now.st_mtim.tv_nsec + now.st_mtim.tv_sec &&
        found->second.size == now.st_size)
        return &found->second;
    if (files_.size() >= most_files)
        files_.clear();
    std::string content(static_cast<std::size_t>(now.st_size), '\0');
    const ssize_t count = read(fd.get(), content.data(), content.size());
    content.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    File file;
    file.etag = "\"" + sha256_hex(content).substr(0, 16) + "\"";
    file.content = std::make_shared<const std::string>(std::move(content));
    file.changed = now.st_mtim.tv_nsec + now.st_mtim.tv_sec;
    file.size = now.st_size;
    return &(files_[name] = std::move(file));
}

Response Files::answer(const Request& request) {
    if (request.method != "GET" && request.method != "HEAD") {
        Response refused;
        refused.status = 405;
        return std::move(refused.with("Allow", "GET, HEAD"));
    }
    const std::string name = request.path == "/" ? "index.html" : request.path.substr(1);
    const std::string_view type = type_of(name);
    if (!is_plain(name) || type.empty())
        return not_found();
    const bool takes_gzip = request.header("accept-encoding").find("gzip") != std::string::npos;
    const File* file = takes_gzip ? find(name + ".gz") : nullptr;
    const bool zipped = file != nullptr;
    if (file == nullptr)
        file = find(name);
    if (file == nullptr)
        return not_found();
    Response response;
    response.with("Content-Type", std::string(type))
        .with("ETag", file->etag)
        .with("Vary", "Accept-Encoding");
    // What Vite names by its content never changes.
    response.with("Cache-Control",
                  name.starts_with("assets/") ? "public, max-age=31536000, immutable" : "no-cache");
    if (request.header("if-none-match") == file->etag) {
        response.status = 304;
        return response;
    }
    if (zipped)
        response.with("Content-Encoding", "gzip");
    response.shared_body = file->content;
    return response;
}

} // namespace lom::web
