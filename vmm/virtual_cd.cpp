#include "vmm/virtual_cd.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lom::vmm {

using namespace std::chrono_literals;

namespace {

constexpr auto guest_patience = 5s; // for a guest that has locked its tray

std::string on_device(const std::string& more = "") {
    return std::string(R"({"id":")") + VirtualCd::device + "\"" + more + "}";
}

/// lom-media's file can be mounted anew under a running QEMU; a lock would only be in the way.
std::string file_options(const std::string& file) {
    return R"("driver":"file","read-only":true,"locking":"off","filename":)" + json_text(file);
}

std::string node_option(const std::string& node) { return "\"node-name\":" + json_text(node); }

} // namespace

VirtualCd::VirtualCd(Loop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

void VirtualCd::want(const std::string& file, Done done, bool at_once) {
    reopen_ = !file.empty() && file == present_;
    refused_ = false;
    at_once_ = at_once;
    wanted_ = file;
    if (done)
        waiting_.push_back(std::move(done));
    handlers_.changed();
    if (qemu_ == nullptr)
        return settle({});
    if (at_once && asking_)
        return take_out();
    work();
}

void VirtualCd::reopen(Done done) {
    reopen_ = true;
    refused_ = false;
    waiting_.push_back(std::move(done));
    if (qemu_ == nullptr)
        return settle({});
    work();
}

void VirtualCd::attach(QemuProcess& qemu, std::function<void()> done) {
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
void VirtualCd::look(const std::function<void()>& then) {
    const std::weak_ptr<bool> session = session_;
    qemu_->execute("query-block", "", [this, session, then](const Result<QmpFields>& blocks) {
        if (session.expired())
            return;
        for (const QmpDrive& drive : drives_of(blocks ? blocks->json : "")) {
            if (drive.id != device)
                continue;
            present_ = drive.file;
            medium_ = drive.node;
            tray_open_ = drive.tray_open;
        }
        qemu_->execute("query-named-block-nodes", R"({"flat":true})",
                       [this, session, then](const Result<QmpFields>& nodes) {
                           if (session.expired())
                               return;
                           nodes_ = nodes_of(nodes ? nodes->json : "", node_prefix);
                           for (const std::string& node : nodes_)
                               last_node_ = std::max(last_node_,
                                                     static_cast<unsigned>(std::atoi(
                                                         node.c_str() + std::strlen(node_prefix))));
                           then();
                       });
    });
}

void VirtualCd::detach() {
    session_.reset();
    patience_.reset();
    qemu_ = nullptr;
    busy_ = asking_ = reopen_ = refused_ = tray_open_ = false;
    present_.clear();
    medium_.clear();
    nodes_.clear();
    settle({});
}

void VirtualCd::on_tray_moved(bool open) {
    tray_open_ = open;
    handlers_.changed();
    if (open && asking_)
        take_out();
}

void VirtualCd::work() {
    if (busy_)
        return; // settle() comes back here
    if (!unsettled())
        return settle({});
    busy_ = true;
    if (wanted_ == present_)
        open_anew();
    else if (present_.empty())
        insert();
    else
        ask_guest_to_eject();
}

bool VirtualCd::unsettled() const {
    if (wanted_ == present_)
        return reopen_ && !present_.empty();
    return !refused_;
}

void VirtualCd::insert() {
    reopen_ = false;
    const std::string file = wanted_;
    medium_ = new_node();
    start({{"blockdev-add", "{\"driver\":\"raw\",\"read-only\":true," + node_option(medium_) +
                                ",\"file\":{" + file_options(file) + "}}"},
           {"blockdev-open-tray", on_device(R"(,"force":true)")},
           {"blockdev-remove-medium", on_device(), true},
           {"blockdev-insert-medium", on_device("," + node_option(medium_))},
           {"blockdev-close-tray", on_device()}},
          [this, file](const Result<void>& done) {
              if (done) {
                  present_ = file;
                  return settle({});
              }
              Steps cleaning;
              forget_nodes(cleaning);
              start(std::move(cleaning), [this, file, fault = done.fault()](const Result<void>&) {
                  if (wanted_ != file)
                      return settle({}); // something else is wanted by now
                  refused_ = true;
                  settle(Fault{FaultKind::unavailable,
                               "The image cannot be inserted: " + fault.message});
              });
          });
}

/// Puts the medium on a newly opened file; the guest does not notice.
void VirtualCd::open_anew() {
    reopen_ = false;
    const std::string file = new_node();
    Steps steps{{"blockdev-add", "{" + node_option(file) + "," + file_options(present_) + "}"},
                {"blockdev-reopen", "{\"options\":[{\"driver\":\"raw\",\"read-only\":true," +
                                        node_option(medium_) + ",\"file\":" + json_text(file) +
                                        "}]}"}};
    for (const std::string& node : std::exchange(nodes_, {medium_, file}))
        if (node != medium_ && node != file)
            steps.push_back(forget(node));
    start(std::move(steps), [this](const Result<void>& done) {
        settle(done ? Result<void>()
                    : Fault{FaultKind::unavailable,
                            "The image cannot be opened again: " + done.fault().message});
    });
}

void VirtualCd::ask_guest_to_eject() {
    if (tray_open_ || at_once_)
        return take_out();
    asking_ = true;
    patience_ = loop_.after(guest_patience, [this] { take_out(); });
    // Opens an unlocked tray, asks the guest to open a locked one.
    qemu_->execute("blockdev-open-tray", on_device(R"(,"force":false)"),
                   [](const Result<QmpFields>&) {});
}

void VirtualCd::take_out() {
    asking_ = false;
    patience_.reset();
    Steps steps{{"blockdev-open-tray", on_device(R"(,"force":true)")},
                {"blockdev-remove-medium", on_device()}};
    forget_nodes(steps);
    start(std::move(steps), [this](const Result<void>& done) {
        if (!done)
            return settle(Fault{FaultKind::unavailable,
                                "QEMU cannot eject the image: " + done.fault().message});
        present_.clear();
        medium_.clear();
        handlers_.proceed(); // the guest reads an empty drive now
        settle({});
    });
}

void VirtualCd::settle(const Result<void>& result) {
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

void VirtualCd::start(Steps steps, Done done) {
    run(std::make_shared<const Steps>(std::move(steps)), 0, done);
}

void VirtualCd::run(std::shared_ptr<const Steps> steps, std::size_t next, const Done& done) {
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

std::string VirtualCd::new_node() {
    nodes_.push_back(std::string(node_prefix) + std::to_string(++last_node_));
    return nodes_.back();
}

VirtualCd::Step VirtualCd::forget(const std::string& node) {
    return {"blockdev-del", "{" + node_option(node) + "}", true};
}

/// The medium is older than the nodes of its file, and goes first.
void VirtualCd::forget_nodes(Steps& steps) {
    for (const std::string& node : std::exchange(nodes_, {}))
        steps.push_back(forget(node));
}

} // namespace lom::vmm
