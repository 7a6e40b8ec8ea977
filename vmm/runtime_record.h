// What runs for a host, written down so that the next lomd finds it: D/hosts/<name>/runtime.json.
#pragma once

#include "base/process.h"

#include <optional>
#include <string>

namespace lom::vmm {

struct RuntimeRecord {
    ProcessId process;
    bool once = false;   ///< the running boot is not to be repeated by a guest reboot
    bool intent = false; ///< about to be started; there may be no process
};

void save_runtime_record(const std::string& path, const RuntimeRecord& record);
std::optional<RuntimeRecord> load_runtime_record(const std::string& path);

} // namespace lom::vmm
