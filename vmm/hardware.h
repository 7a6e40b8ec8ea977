// A host's hardware as it is defined: the definition on disk and the disk images that belong to it.
// Whether the host may be changed now is asked before. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "vmm/command_line.h"
#include "vmm/definition.h"
#include "vmm/host_files.h"

#include <functional>
#include <memory>

namespace lom::vmm {

class Hardware {
  public:
    using Done = std::function<void(Result<void>)>;

    Hardware(Loop& loop, HostFiles files) : loop_(loop), files_(std::move(files)) {}

    /// What the folder says; a folder without a definition gets `initial` and its disks.
    Result<void> load(const HostDefinition& initial);
    const HostDefinition& definition() const { return definition_; }
    bool changing() const { return disk_maker_ != nullptr; }
    /// All or nothing, durable when `done` comes: new disks are made, those that went are deleted.
    /// Refused while changing(), or when check_definition refuses.
    void change(HostDefinition wanted, Done done);

  private:
    Result<void> check_change(const HostDefinition& wanted) const;
    void make_disks(HostDefinition wanted, Done done, std::size_t from = 0);
    void delete_disks_missing_in(const HostDefinition& kept, const HostDefinition& of) const;
    Result<void> take(const HostDefinition& wanted);

    Loop& loop_;
    const HostFiles files_;
    HostDefinition definition_;
    std::unique_ptr<DiskMaker> disk_maker_;
};

} // namespace lom::vmm
