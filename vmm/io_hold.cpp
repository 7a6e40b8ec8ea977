#include "vmm/io_hold.h"

#include <algorithm>
#include <utility>

namespace lom::vmm {

using namespace std::chrono_literals;

namespace {

constexpr auto disk_retry = 10s;
constexpr auto medium_release = 500ms; // between two reads that are to fail, of a held guest
constexpr auto trouble_is_over = 30s;  // without an I/O error; the next one is an event again

std::string name_of(DriveId drive) { return traits_of(drive).has_tray ? "CD" : "USB disk"; }

bool failed(const QmpDrive& drive) {
    return drive.io_status == "failed" || drive.io_status == "nospace";
}

} // namespace

IoHold::IoHold(Loop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

void IoHold::examine(QemuProcess& qemu) {
    if (qemu_ != &qemu)
        session_ = std::make_shared<bool>(true);
    qemu_ = &qemu;
    qemu.execute("query-block", "",
                 [this, session = std::weak_ptr(session_)](const Result<QmpFields>& blocks) {
                     if (!blocks || session.expired())
                         return;
                     const auto drives = drives_of(blocks->json);
                     const auto found = std::find_if(drives.begin(), drives.end(), failed);
                     hold(found == drives.end() ? QmpDrive{} : *found);
                 });
}

void IoHold::hold(const QmpDrive& drive) {
    by_ = By::disk;
    for (const DriveId id : all_drives)
        if (drive.id == traits_of(id).device && handlers_.has_source(id)) {
            by_ = By::medium;
            medium_ = id;
        }
    calm_.reset();
    std::string sentence = disk_sentence(drive);
    if (by_ == By::disk) {
        retry_ = loop_.after(disk_retry, [this] { proceed(); });
    } else if (wait_[index_of(medium_)]) {
        sentence = "The host waits for the source of its " + name_of(medium_) +
                   " image and goes on by itself.";
    } else {
        sentence = "The source of the host's " + name_of(medium_) +
                   " image is away, and the host is not to wait for "
                   "it: its read fails.";
        retry_ = loop_.after(medium_release, [this] { proceed(); });
    }
    tell(sentence);
    handlers_.held(sentence);
}

std::string IoHold::disk_sentence(const QmpDrive& drive) const {
    const std::string name = drive.id.empty() ? "a disk" : drive.id;
    return drive.io_status == "nospace"
               ? "The host waits: the file system that holds " + name +
                     " is full. Make room, and it goes on by itself."
               : "The host waits: " + name +
                     " cannot be read or written. It is tried again every ten seconds.";
}

void IoHold::tell(const std::string& sentence) {
    if (std::exchange(told_, sentence) != sentence)
        handlers_.event(Severity::major, sentence);
}

void IoHold::over(bool runs) {
    retry_.reset();
    const By was = std::exchange(by_, By::nobody);
    if (was == By::nobody || !runs)
        return;
    if (was == By::medium && wait_[index_of(medium_)]) {
        handlers_.event(Severity::info,
                        "The host goes on; it waits for its " + name_of(medium_) + " no longer.");
        told_.clear();
    }
    calm_ = loop_.after(trouble_is_over, [this] { told_.clear(); });
}

void IoHold::forget() {
    by_ = By::nobody;
    qemu_ = nullptr;
    session_.reset();
    retry_.reset();
}

void IoHold::reported(const std::string& node) {
    const auto of_node = [&](DriveId id) { return node.starts_with(traits_of(id).node_prefix); };
    const auto drive = std::find_if(all_drives.begin(), all_drives.end(), of_node);
    if (drive == all_drives.end())
        return;
    if (!std::exchange(told_of_errors_, true))
        handlers_.event(Severity::major, "The guest was given an I/O error by its " +
                                             name_of(*drive) + ", which cannot be read now.");
    errors_calm_ = loop_.after(trouble_is_over, [this] { told_of_errors_ = false; });
}

void IoHold::proceed() {
    retry_.reset();
    if (qemu_ != nullptr && held())
        qemu_->execute("cont", "", [](const Result<QmpFields>&) {});
}

void IoHold::wait_for(DriveId drive, bool wait) {
    if (std::exchange(wait_[index_of(drive)], wait) != wait && !wait && held_by(drive))
        proceed();
}

} // namespace lom::vmm
