// Where things lie; the same for all hosts. Plain data.
#pragma once

#include <string>

namespace lom {

struct Paths {
    std::string state_dir;                    ///< D
    std::string run_dir;                      ///< R
    std::string programs;                     ///< folder of lom, lom-ssh, lom-media, lom-kvm
    std::string listen_address = "127.0.0.1"; ///< of the doors
    std::string host_state(const std::string& host) const { return state_dir + "/hosts/" + host; }
    std::string host_run(const std::string& host) const { return run_dir + "/hosts/" + host; }
};

} // namespace lom
