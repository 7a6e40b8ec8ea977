#include "vmm/hardware.h"

#include "base/files.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace lom::vmm {

namespace {

bool has_disk(const HostDefinition& in, const std::string& name) {
    return std::any_of(in.disks.begin(), in.disks.end(),
                       [&](const Disk& disk) { return disk.name == name; });
}

} // namespace

Result<void> Hardware::load(const HostDefinition& initial) {
    const auto text = read_file(files_.definition());
    if (!text) {
        definition_ = initial;
        complete_definition(definition_);
        if (const auto fine = check_definition(definition_); !fine)
            return fine;
        for (const Disk& disk : definition_.disks)
            if (const auto made = make_disk(files_, disk); !made)
                return made;
        return write_file_durably(files_.definition(), definition_to_json(definition_), 0600);
    }
    auto stored = definition_from_json(*text);
    if (!stored)
        return Fault{stored.fault().kind, files_.definition() + ": " + stored.fault().message};
    definition_ = std::move(*stored);
    return {};
}

void Hardware::change(HostDefinition wanted, Done done) {
    if (changing())
        return done(Fault{FaultKind::busy, "The host's hardware is being changed; try again."});
    complete_definition(wanted);
    if (const auto fine = check_definition(wanted); !fine)
        return done(fine);
    if (const auto fine = check_change(wanted); !fine)
        return done(fine);
    make_disks(std::move(wanted), std::move(done));
}

Result<void> Hardware::check_change(const HostDefinition& wanted) const {
    if (wanted.name != definition_.name)
        return Fault{FaultKind::invalid_value, "A host keeps its name."};
    for (const Disk& disk : wanted.disks)
        for (const Disk& before : definition_.disks)
            if (disk.name == before.name && disk.size != before.size)
                return Fault{FaultKind::invalid_value,
                             "A disk keeps its size; delete it and create it anew."};
    return {};
}

/// One after the other, those that are new.
void Hardware::make_disks(HostDefinition wanted, Done done, std::size_t from) {
    while (from < wanted.disks.size() && has_disk(definition_, wanted.disks[from].name))
        ++from;
    if (from == wanted.disks.size())
        return done(take(wanted));
    const Disk disk = wanted.disks[from];
    disk_maker_ = std::make_unique<DiskMaker>(
        loop_, files_, disk,
        [this, wanted = std::move(wanted), done = std::move(done),
         from](const Result<void>& made) mutable {
            disk_maker_.reset();
            if (made)
                return make_disks(std::move(wanted), std::move(done), from + 1);
            delete_disks_missing_in(definition_, wanted);
            done(made);
        });
}

void Hardware::delete_disks_missing_in(const HostDefinition& kept, const HostDefinition& of) const {
    for (const Disk& disk : of.disks)
        if (!has_disk(kept, disk.name))
            unlink(files_.disk(disk.name).c_str());
}

Result<void> Hardware::take(const HostDefinition& wanted) {
    const auto saved = write_file_durably(files_.definition(), definition_to_json(wanted), 0600);
    delete_disks_missing_in(saved ? wanted : definition_, saved ? definition_ : wanted);
    if (saved)
        definition_ = wanted;
    return saved;
}

} // namespace lom::vmm
