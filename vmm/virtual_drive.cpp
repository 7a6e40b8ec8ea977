#include "vmm/virtual_drive.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lom::vmm {

using namespace std::chrono_literals;

namespace {

constexpr auto guest_patience = 5s; // of a guest that has locked its tray, before that is said
constexpr auto unplug_limit = 10s;

std::string read_only(const Medium& medium) {
    return medium.writable ? R"("read-only":false)" : R"("read-only":true)";
}

std::string node_option(const std::string& node) { return "\"node-name\":" + json_text(node); }

} // namespace

VirtualDrive::VirtualDrive(Loop& loop, DriveId id, Handlers handlers)
    : loop_(loop), traits_(traits_of(id)), handlers_(std::move(handlers)) {}

void VirtualDrive::want(const Medium& medium, Done done, bool at_once) {
    reopen_ = close_ = medium.present() && medium == present_;
    refused_ = false;
    at_once_ = at_once;
    wanted_ = medium;
    if (done)
        waiting_.push_back(std::move(done));
    handlers_.changed();
    if (qemu_ == nullptr)
        return settle({});
    if (at_once && asking_)
        return take_out();
    if (asking_ && wanted_ == present_) { // it may keep it
        stop_asking();
        busy_ = false;
    }
    work();
}

void VirtualDrive::stop_asking() {
    asking_ = locked_ = false;
    patience_.reset();
}

void VirtualDrive::reopen(Done done) {
    reopen_ = true;
    refused_ = false;
    waiting_.push_back(std::move(done));
    if (qemu_ == nullptr)
        return settle({});
    work();
}

void VirtualDrive::attach(QemuProcess& qemu, std::function<void()> done) {
    detach();
    qemu_ = &qemu;
    session_ = std::make_shared<bool>(true);
    auto begin = [this, done = std::move(done)] {
        waiting_.emplace_back([this, done](const Result<void>& result) {
            if (!result)
                handlers_.trouble(result.fault().message);
            done();
        });
        work();
    };
    busy_ = true;
    look([this, begin] {
        busy_ = false;
        begin();
    });
}

/// What is in the drive: of the command line, or of an earlier lomd.
void VirtualDrive::look(const std::function<void()>& then) {
    const std::weak_ptr<bool> session = session_;
    qemu_->execute("query-block", "", [this, session, then](const Result<QmpFields>& blocks) {
        if (session.expired())
            return;
        for (const QmpDrive& drive : drives_of(blocks ? blocks->json : "")) {
            if (drive.id != traits_.device || drive.file.empty())
                continue;
            present_ = {drive.file, !drive.read_only, wanted_.local};
            medium_ = drive.node;
            tray_open_ = traits_.has_tray && drive.tray_open;
        }
        qemu_->execute("query-named-block-nodes", R"({"flat":true})",
                       [this, session, then](const Result<QmpFields>& nodes) {
                           if (session.expired())
                               return;
                           nodes_ = nodes_of(nodes ? nodes->json : "", traits_.node_prefix);
                           for (const std::string& node : nodes_)
                               last_node_ =
                                   std::max(last_node_,
                                            static_cast<unsigned>(std::atoi(
                                                node.c_str() + std::strlen(traits_.node_prefix))));
                           then();
                       });
    });
}

void VirtualDrive::detach() {
    session_.reset();
    stop_asking();
    qemu_ = nullptr;
    busy_ = reopen_ = close_ = refused_ = tray_open_ = unplugging_ = false;
    present_ = {};
    medium_.clear();
    nodes_.clear();
    settle({});
}

void VirtualDrive::on_tray_moved(bool open) {
    tray_open_ = open;
    handlers_.changed();
    if (open && asking_)
        take_out();
}

void VirtualDrive::work() {
    if (busy_)
        return; // settle() comes back here
    if (!unsettled())
        return settle({});
    busy_ = true;
    if (wanted_ == present_)
        open_anew();
    else if (!present_.present())
        insert();
    else
        ask_guest_to_eject();
}

bool VirtualDrive::unsettled() const {
    if (wanted_ == present_)
        return reopen_ && present_.present();
    return !refused_;
}

void VirtualDrive::insert() {
    reopen_ = false;
    const Medium medium = wanted_;
    medium_ = new_node();
    start(insertion(), [this, medium](const Result<void>& done) {
        if (done) {
            present_ = medium;
            return settle({});
        }
        Steps cleaning;
        forget_nodes(cleaning);
        start(std::move(cleaning), [this, medium, fault = done.fault()](const Result<void>&) {
            if (wanted_ != medium)
                return settle({}); // something else is wanted by now
            refused_ = true;
            settle(Fault{FaultKind::unavailable, "The image cannot be inserted: " + fault.message});
        });
    });
}

VirtualDrive::Steps VirtualDrive::insertion() const {
    Steps steps{{"blockdev-add", "{\"driver\":\"raw\"," + read_only(wanted_) + "," +
                                     node_option(medium_) + ",\"file\":{" + file_options(wanted_) +
                                     "}}"}};
    if (!traits_.has_tray) {
        steps.push_back({"device_add", "{\"driver\":\"usb-storage\",\"bus\":\"usb.0\",\"port\":\"" +
                                           std::to_string(traits_.storage + 1) + "\",\"id\":\"" +
                                           traits_.device + "\",\"drive\":" + json_text(medium_) +
                                           ",\"removable\":true,\"rerror\":\"enospc\"}"});
        return steps;
    }
    steps.push_back({"blockdev-open-tray", on_device(R"(,"force":true)")});
    steps.push_back({"blockdev-remove-medium", on_device(), true});
    steps.push_back({"blockdev-insert-medium", on_device("," + node_option(medium_))});
    steps.push_back({"blockdev-close-tray", on_device()});
    return steps;
}

/// Puts the medium on a newly opened file; the guest does not notice.
void VirtualDrive::open_anew() {
    reopen_ = false;
    const std::string file = new_node();
    Steps steps{{"blockdev-add", "{" + node_option(file) + "," + file_options(present_) + "}"},
                {"blockdev-reopen", "{\"options\":[{\"driver\":\"raw\"," + read_only(present_) +
                                        "," + node_option(medium_) +
                                        ",\"file\":" + json_text(file) + "}]}"}};
    if (std::exchange(close_, false) && tray_open_)
        steps.push_back({"blockdev-close-tray", on_device()});
    for (const std::string& node : std::exchange(nodes_, {medium_, file}))
        if (node != medium_ && node != file)
            steps.push_back(forget(node));
    start(std::move(steps), [this](const Result<void>& done) {
        settle(done ? Result<void>()
                    : Fault{FaultKind::unavailable,
                            "The image cannot be opened again: " + done.fault().message});
    });
}

void VirtualDrive::ask_guest_to_eject() {
    if (tray_open_ || at_once_ || !traits_.has_tray)
        return take_out();
    asking_ = true;
    patience_ = loop_.every(guest_patience, [this] {
        locked_ = true;
        handlers_.changed();
        request_eject(); // it may have unlocked the tray meanwhile, which nobody tells
    });
    request_eject();
}

/// Opens an unlocked tray, asks the guest to open a locked one.
void VirtualDrive::request_eject() {
    qemu_->execute("blockdev-open-tray", on_device(R"(,"force":false)"),
                   [](const Result<QmpFields>&) {});
}

void VirtualDrive::take_out() {
    stop_asking();
    if (!traits_.has_tray)
        return unplug();
    Steps steps{{"blockdev-open-tray", on_device(R"(,"force":true)")},
                {"blockdev-remove-medium", on_device()}};
    forget_nodes(steps);
    start(std::move(steps), [this](const Result<void>& done) {
        if (!done)
            return settle(Fault{FaultKind::unavailable,
                                "QEMU cannot eject the image: " + done.fault().message});
        is_out();
    });
}

/// The device goes, and its medium when QEMU says that it is gone.
void VirtualDrive::unplug() {
    unplugging_ = true;
    patience_ = loop_.after(unplug_limit, [this] {
        unplugging_ = false;
        settle(Fault{FaultKind::unavailable, "QEMU does not unplug the image's device."});
    });
    start({{"device_del", on_device()}}, [this](const Result<void>& done) {
        if (done || !std::exchange(unplugging_, false))
            return;
        patience_.reset();
        settle(Fault{FaultKind::unavailable,
                     "QEMU cannot unplug the image's device: " + done.fault().message});
    });
}

void VirtualDrive::on_unplugged() {
    if (!std::exchange(unplugging_, false))
        return;
    patience_.reset();
    Steps steps;
    forget_nodes(steps);
    start(std::move(steps), [this](const Result<void>&) { is_out(); });
}

void VirtualDrive::is_out() {
    present_ = {};
    tray_open_ = false;
    medium_.clear();
    handlers_.proceed(); // the guest reads an empty drive now
    settle({});
}

void VirtualDrive::settle(const Result<void>& result) {
    busy_ = false;
    if (result && qemu_ != nullptr && unsettled())
        return work();
    handlers_.changed();
    auto waiting = std::exchange(waiting_, {});
    if (waiting.empty() && !result)
        handlers_.trouble(result.fault().message);
    for (const Done& done : waiting)
        done(result);
}

void VirtualDrive::start(Steps steps, Done done) {
    run(std::make_shared<const Steps>(std::move(steps)), 0, done);
}

void VirtualDrive::run(std::shared_ptr<const Steps> steps, std::size_t next, const Done& done) {
    if (next == steps->size())
        return done({});
    const Step& step = (*steps)[next];
    qemu_->execute(step.command, step.arguments,
                   [this, steps, next, done, may_fail = step.may_fail,
                    session = std::weak_ptr(session_)](const Result<QmpFields>& answer) {
                       if (session.expired())
                           return;
                       if (!answer && !may_fail)
                           return done(answer.fault());
                       run(steps, next + 1, done);
                   });
}

std::string VirtualDrive::new_node() {
    nodes_.push_back(std::string(traits_.node_prefix) + std::to_string(++last_node_));
    return nodes_.back();
}

std::string VirtualDrive::on_device(const std::string& more) const {
    return std::string(R"({"id":")") + traits_.device + "\"" + more + "}";
}

/// lom-media's file can be mounted anew under a running QEMU, and nobody else may write to what is
/// written: a lock would only be in the way.
std::string VirtualDrive::file_options(const Medium& medium) const {
    return "\"driver\":\"file\"," + read_only(medium) +
           ",\"locking\":\"off\",\"filename\":" + json_text(medium.file);
}

VirtualDrive::Step VirtualDrive::forget(const std::string& node) {
    return {"blockdev-del", "{" + node_option(node) + "}", true};
}

/// The medium is older than the nodes of its file, and goes first.
void VirtualDrive::forget_nodes(Steps& steps) {
    for (const std::string& node : std::exchange(nodes_, {}))
        steps.push_back(forget(node));
}

} // namespace lom::vmm
