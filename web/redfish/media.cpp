// Virtual media: the storage devices of /SP/services/kvms as drives, under the system and under the
// manager (where older clients look for them).
#include "web/redfish/resource.h"
#include "web/redfish/tasks.h"

#include <chrono>

namespace lom::web {

namespace {

using namespace std::chrono_literals;

/// One of the host's virtual drives; lives as long as the process.
struct Drive {
    std::string id, name;
    std::string target;
    json::array media_types;
    std::string remote = target + "/remote";
    bool is_cd() const { return id != "Usb"; }
    bool takes_local_images() const { return id == "Cd"; }
};

const std::vector<Drive>& drives() {
    static const std::vector<Drive> all{
        {"Cd", "Virtual CD", "/SP/services/kvms/host_storage_device", {"CD", "DVD"}},
        {"Cd2", "Second virtual CD", "/SP/services/kvms/host_storage_device2", {"CD", "DVD"}},
        {"Usb", "Virtual USB disk", "/SP/services/kvms/host_usb_device", {"USBStick"}}};
    return all;
}

constexpr auto task_limit = 120s;

struct Medium {
    bool wanted = false;
    std::string status;
    std::string detail;
    bool operational() const { return status == "operational"; }
    /// On its way: neither in the drive nor refused.
    bool pending() const { return status == "starting" || status == "connecting"; }
    /// The guest has been asked for it, and has not given it yet.
    bool leaving() const { return status == "ejecting" || status == "tray locked by guest"; }
};

Medium medium_of(const control::TargetView& view) {
    Medium medium;
    for (const control::PropertyView& property : view.properties) {
        if (property.name == "mode")
            medium.wanted = property.text != "disabled";
        else if (property.name == "status")
            medium.status = property.text;
        else if (property.name == "status_detail")
            medium.detail = property.text == "(none)" ? "" : property.text;
    }
    return medium;
}

bool inserted(const Scope& scope, const Drive& drive) {
    const auto* view = scope.view(drive.target);
    return view != nullptr && medium_of(*view).operational();
}

/// Redfish's sftp://host/path is the tree's sshfs://.
std::string image_uri(std::string uri, const std::string& protocol) {
    if (uri.find("://") == std::string::npos && !protocol.empty()) {
        std::string scheme = protocol;
        for (char& c : scheme)
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        uri = scheme + "://" + uri;
    }
    return uri.starts_with("sftp://") ? "sshfs://" + uri.substr(7) : uri;
}

Task<Result<Medium>> medium_now(WebSessions::Ptr session, const Drive& drive) {
    const auto view = co_await session->show(drive.target, 1);
    if (!view)
        co_return view.fault();
    co_return medium_of(*view);
}

Task<bool> pause(Loop& loop, std::chrono::milliseconds time) {
    auto wait = later<bool>([&loop, time](std::function<void(bool)> done) {
        auto timer = std::make_shared<Loop::Handle>();
        *timer = loop.after(time, [timer, done = std::move(done)] {
            const auto finished = done;
            timer->reset();
            finished(true);
        });
    });
    co_return co_await wait;
}

Result<void> outcome_of(const Result<Medium>& medium) {
    if (!medium)
        return medium.fault();
    if (medium->operational())
        return {};
    return Fault{FaultKind::invalid_value, medium->status + ". " + medium->detail};
}

/// The medium stays wanted when the time is over: lomd goes on trying, as the tree says.
Task<bool> watch_insertion(Services& services, WebSessions::Ptr session, const Drive& drive,
                           std::string task) {
    const auto until = std::chrono::steady_clock::now() + task_limit;
    Result<void> outcome =
        Fault{FaultKind::unavailable, "The image's server has not answered in time."};
    while (std::chrono::steady_clock::now() < until) {
        const auto medium = co_await medium_now(session, drive);
        if (!medium || !medium->pending()) {
            outcome = outcome_of(medium);
            break;
        }
        co_await pause(services.loop, 300ms);
    }
    services.tasks.end(task, outcome,
                       outcome ? "The host has the image in its drive." : outcome.fault().message,
                       iso_now());
    co_return bool(outcome);
}

/// For good: a guest that has locked the tray and was asked has had its chance.
Task<Result<void>> take_out(Scope& scope, const Drive& drive) {
    auto done = co_await set_in_tree(scope, drive.target, "mode", "disabled");
    if (!done)
        co_return done;
    const auto medium = co_await medium_now(scope.session, drive);
    if (medium && medium->leaving())
        done = co_await set_in_tree(scope, drive.target, "force_eject", "true");
    co_return done;
}

Task<Result<void>> put_in(Scope& scope, const Drive& drive, const json::object& body) {
    // Out with the old one first: while it is in, each change would mount a mixture.
    auto done = co_await take_out(scope, drive);
    // Without a word on credentials those of the drive are meant, as in the shell.
    if (done && body.contains("UserName")) {
        const std::string user = fields::text(body, "UserName");
        done = co_await set_in_tree(scope, drive.remote, "username", user);
    }
    if (done && (body.contains("Password") || body.contains("UserName"))) {
        const std::string password = fields::text(body, "Password");
        done = co_await set_in_tree(scope, drive.remote, "password", password);
    }
    const std::string uri =
        image_uri(fields::text(body, "Image"), fields::text(body, "TransferProtocolType"));
    if (done)
        done = co_await set_in_tree(scope, drive.remote, "server_URI", uri);
    if (done && !drive.is_cd()) {
        const std::string writable = fields::flag(body, "WriteProtected", true) ? "false" : "true";
        done = co_await set_in_tree(scope, drive.remote, "writable", writable);
    }
    if (done)
        done = co_await set_in_tree(scope, drive.target, "mode", "remote");
    co_return done;
}

/// Answers when the guest can see the medium; with a task when that takes longer than lomd waits;
/// with an error, and an empty drive, when it never will. Power and boot order stay as they are.
Task<Response> insert(Scope& scope, const Drive& drive, json::object body) {
    // Only an image that is kept here can be written to.
    const bool writes = !fields::flag(body, "WriteProtected", true);
    const bool may_write = !drive.is_cd() && fields::text(body, "Image").starts_with("/SP/media/");
    if (!fields::flag(body, "Inserted", true) || (writes && !may_write)) {
        const char* name = fields::flag(body, "Inserted", true) ? "WriteProtected" : "Inserted";
        const Message message{"ActionParameterValueNotInList",
                              {"false", name, "VirtualMedia.InsertMedia"}};
        co_return error_response(400, message);
    }
    const auto done = co_await put_in(scope, drive, body);
    if (!done)
        co_return fault_response(done.fault());
    const auto medium = co_await medium_now(scope.session, drive);
    if (!medium)
        co_return fault_response(medium.fault());
    if (medium->operational())
        co_return no_content();
    if (medium->pending()) {
        Services& services = *scope.services;
        const std::string id = services.tasks.begin("Insert " + fields::text(body, "Image"),
                                                    scope.session->hello().account, iso_now());
        detach<bool>(watch_insertion(services, scope.session, drive, id), nullptr);
        co_return monitor_response(*services.tasks.find(id));
    }
    const auto why = outcome_of(medium);
    co_await set_in_tree(scope, drive.target, "mode", "disabled");
    co_return fault_response(why.fault());
}

Task<Response> eject(Scope& scope, const Drive& drive) {
    const auto done = co_await take_out(scope, drive);
    co_return done ? no_content() : fault_response(done.fault());
}

Resource collection_of(const std::string& owner) {
    Resource collection(owner + "/VirtualMedia", "VirtualMediaCollection.VirtualMediaCollection");
    collection.constant("Name", "Virtual media");
    collection.members([owner](const Scope&) {
        std::vector<std::string> uris;
        for (const Drive& drive : drives())
            uris.push_back(owner + "/VirtualMedia/" + drive.id);
        return uris;
    });
    return collection;
}

Resource resource_of(const std::string& owner, const Drive& drive) {
    Resource one(owner + "/VirtualMedia/" + drive.id, "VirtualMedia.v1_6_2.VirtualMedia");
    one.shows(drive.target).shows(drive.remote);
    if (drive.takes_local_images())
        one.shows(drive.target + "/local");
    one.constant("Id", json::value(drive.id)).constant("Name", json::value(drive.name));
    one.constant("MediaTypes", drive.media_types);
    one.computed("Image", [&drive](const Scope& scope) {
        const auto* view = scope.view(drive.target);
        const std::string uri = scope.text(drive.remote, "server_URI");
        const bool shown = view != nullptr && medium_of(*view).wanted && !uri.empty();
        return shown ? json::value(uri) : json::value(nullptr);
    });
    one.computed("ImageName", [&drive](const Scope& scope) {
        const std::string name = scope.text(drive.target, "volume_id");
        return inserted(scope, drive) ? json::value(name) : json::value(nullptr);
    });
    one.computed("Inserted",
                 [&drive](const Scope& scope) { return json::value(inserted(scope, drive)); });
    one.computed("ConnectedVia", [&drive](const Scope& scope) {
        const bool local =
            drive.takes_local_images() && !scope.text(drive.target + "/local", "file").empty();
        return json::value(!inserted(scope, drive) ? "NotConnected" : local ? "Applet" : "URI");
    });
    one.computed("WriteProtected", [&drive](const Scope& scope) {
        return json::value(drive.is_cd() || scope.text(drive.remote, "writable") != "true");
    });
    one.computed("TransferMethod", [&drive](const Scope& scope) {
        return inserted(scope, drive) ? json::value("Stream") : json::value(nullptr);
    });
    one.text("UserName", drive.remote, "username", true);
    one.field({.at = "Password",
               .read = [](const Scope&) { return json::value(nullptr); },
               .target = drive.remote,
               .property = "password",
               .convert = [](const json::value& value) -> Result<std::string> {
                   return std::string(value.get_string());
               }});
    one.computed("Status", [&drive](const Scope& scope) {
        const auto* view = scope.view(drive.target);
        const Medium medium = view == nullptr ? Medium() : medium_of(*view);
        const bool fine = !medium.wanted || medium.operational() || medium.pending();
        return json::value(json::object{{"State", medium.wanted ? "Enabled" : "StandbyOffline"},
                                        {"Health", fine ? "OK" : "Warning"}});
    });
    one.computed("Oem/OpenLOM", [&drive](const Scope& scope) {
        json::object ours{{"@odata.type", "#OpenLOM.v1_0_0.VirtualMedia"},
                          {"Status", scope.text(drive.target, "status")},
                          {"Target", link_to("/redfish/v1/Oem/OpenLOM/Tree" + drive.target)}};
        if (std::string detail = scope.text(drive.target, "status_detail"); !detail.empty())
            ours["StatusDetail"] = std::move(detail);
        return json::value(std::move(ours));
    });
    one.action({"VirtualMedia.InsertMedia",
                {{.name = "Image", .required = true},
                 {.name = "Inserted", .kind = json::kind::bool_},
                 {.name = "WriteProtected", .kind = json::kind::bool_},
                 {.name = "TransferMethod", .allowed = {"Stream"}},
                 {.name = "TransferProtocolType",
                  .allowed = {"SFTP", "HTTP", "HTTPS", "NFS", "CIFS", "OEM"}},
                 {.name = "MediaType",
                  .allowed = drive.is_cd() ? std::vector<std::string>{"CD", "DVD"}
                                           : std::vector<std::string>{"USBStick"}},
                 {.name = "UserName"},
                 {.name = "Password"}},
                [&drive](Scope& scope, json::object body) {
                    return insert(scope, drive, std::move(body));
                }});
    one.action({"VirtualMedia.EjectMedia", {}, [&drive](Scope& scope, const json::object&) {
                    return eject(scope, drive);
                }});
    return one;
}

} // namespace

void declare_media(std::vector<Resource>& all) {
    for (const char* owner : {"/redfish/v1/Systems/host0", "/redfish/v1/Managers/sp"}) {
        all.push_back(collection_of(owner));
        for (const Drive& drive : drives())
            all.push_back(resource_of(owner, drive));
    }
}

} // namespace lom::web
