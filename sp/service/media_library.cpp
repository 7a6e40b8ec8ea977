#include "sp/service/media_library.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr std::int64_t default_quota = std::int64_t{64} << 30U;
constexpr auto patience = 8s; // of who waits for a load

std::string progress_of(const MediaLibrary::Loading& loading) {
    if (loading.size == 0)
        return "not begun yet";
    return std::to_string(loading.loaded * 100 / loading.size) + " % of " +
           std::to_string(loading.size >> 20U) + " MB";
}

} // namespace

struct MediaLibrary::Load {
    Loading facts;
    std::string folder;
    std::string file;
    UniqueFd fd;
    std::unique_ptr<Transfers::Download> download;
    std::function<void(Result<std::string>)> waiting;
    Loop::Handle patience;
};

MediaLibrary::MediaLibrary(Loop& loop, const Paths& paths, kvms::Library& images,
                           Transfers& transfers, Settings& store, Log& events,
                           std::function<void()> changed)
    : loop_(loop), images_(images), transfers_(transfers), events_(events),
      changed_(std::move(changed)), quota_(store, "sp/media/quota", default_quota),
      uploads_(loop, images, paths.programs + "/lom-sftp") {
    images_.set_quota(static_cast<std::uint64_t>(*quota_));
}

MediaLibrary::~MediaLibrary() = default;

Result<void> MediaLibrary::set_quota(std::int64_t bytes) {
    if (bytes < 0)
        return Fault{FaultKind::invalid_value, "Give a size such as 64G."};
    const auto stored = quota_.set(bytes);
    if (stored)
        images_.set_quota(static_cast<std::uint64_t>(bytes));
    return stored;
}

std::string MediaLibrary::name_in(const std::string& uri) {
    const std::size_t authority = uri.find("://");
    const std::size_t begin = authority == std::string::npos ? 0 : authority + 3;
    std::string path = uri.substr(begin, uri.find_first_of("?#", begin) - begin);
    return path.substr(path.rfind('/') + 1);
}

std::vector<MediaLibrary::Loading> MediaLibrary::loadings() const {
    std::vector<Loading> all;
    for (const auto& [name, load] : loads_) {
        Loading facts = load->facts;
        struct stat now {};
        if (fstat(load->fd.get(), &now) == 0)
            facts.loaded = static_cast<std::uint64_t>(now.st_size);
        facts.size = load->download ? load->download->size() : 0;
        all.push_back(std::move(facts));
    }
    return all;
}

Result<std::shared_ptr<MediaLibrary::Load>> MediaLibrary::begin(const Transfers::Remote& from) {
    auto load = std::make_shared<Load>();
    load->facts.name = name_in(from.uri);
    load->facts.source = from.uri;
    const std::string& name = load->facts.name;
    if (const auto fine = kvms::Library::check_name(name); !fine)
        return Fault{FaultKind::invalid_value,
                     "The URI's last part becomes the image's name. " + fine.fault().message};
    if (loads_.contains(name))
        return Fault{FaultKind::busy, name + " is being loaded already."};
    if (images_.find(name))
        return Fault{FaultKind::wrong_state,
                     "The image " + name + " exists already; delete it first."};
    auto folder = images_.make_staging();
    if (!folder)
        return folder.fault();
    load->folder = *folder;
    load->file = *folder + "/" + name;
    load->fd.reset(open(load->file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!load->fd)
        return Fault{FaultKind::internal, "No file can be made in the library."};
    auto download =
        transfers_.download(from, load->fd.get(), images_.room(),
                            [this, name](const Result<void>& fetched) { finish(name, fetched); });
    if (!download) {
        images_.drop_staging(load->folder);
        return download.fault();
    }
    load->download = std::move(*download);
    return load;
}

void MediaLibrary::load(const Transfers::Remote& from,
                        std::function<void(Result<std::string>)> done) {
    const auto begun = begin(from);
    if (!begun)
        return done(begun.fault());
    const auto& load = *begun;
    const std::string name = load->facts.name;
    loads_[name] = load;
    load->waiting = std::move(done);
    load->patience = loop_.after(patience, [this, name] {
        const auto now = loadings();
        for (const Loading& each : now)
            if (each.name == name)
                std::exchange(loads_[name]->waiting, nullptr)(
                    "Loading " + name + " goes on in the background (" + progress_of(each) +
                    "); 'show /SP/media/" + name + "' tells how far it is.");
    });
    changed_();
}

void MediaLibrary::finish(const std::string& name, const Result<void>& fetched) {
    const auto found = loads_.find(name);
    if (found == loads_.end())
        return;
    const auto load = found->second;
    loads_.erase(found);
    loop_.post([load] {}); // its download is what calls us
    const auto taken = fetched ? images_.take_in(load->file, name) : fetched;
    images_.drop_staging(load->folder);
    if (taken)
        events_.append("Media", "Log", "info", "The image " + name + " was loaded.");
    else
        events_.append("Media", "Fault", "minor",
                       "The image " + name + " was not loaded: " + taken.fault().message);
    changed_();
    if (load->waiting)
        load->waiting(taken ? Result<std::string>("Load successful.") : taken.fault());
}

Result<void> MediaLibrary::cancel(const std::string& name) {
    const auto found = loads_.find(name);
    if (found == loads_.end())
        return Fault{FaultKind::not_found, name + " is not being loaded."};
    finish(name, Fault{FaultKind::unavailable, "It was given up."});
    return {};
}

} // namespace lom
