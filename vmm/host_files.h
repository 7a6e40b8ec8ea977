// The files of one host on disk: made before QEMU starts, handed to the account that it runs under.
// Loop thread; disk images are made by qemu-img in a process of its own.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "vmm/command_line.h"
#include "vmm/definition.h"

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace lom::vmm {

/// What a power-on needs: QEMU's folder with the serial FIFO and no stale sockets, UEFI's variable
/// store, an empty log. With `owner` all that QEMU writes to becomes his.
Result<void> prepare_files(const HostFiles& files, const HostDefinition& definition,
                           std::optional<uid_t> owner);

/// Makes one qcow2 image and waits for it: some 20 ms, for a new host before the loop runs.
Result<void> make_disk(const HostFiles& files, const Disk& disk);

/// Makes one qcow2 image. Destroying it gives up: the callback does not come.
class DiskMaker {
  public:
    using Done = std::function<void(Result<void>)>;
    DiskMaker(Loop& loop, HostFiles files, Disk disk, Done done);

  private:
    HostFiles files_;
    Disk disk_;
    Done done_;
    Loop::Handle exit_watch_;
};

} // namespace lom::vmm
