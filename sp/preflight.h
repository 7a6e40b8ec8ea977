// `lomd --check`: what this machine offers and lacks, one line each, with the remedy.
#pragma once

#include <ostream>
#include <string>

namespace lom {

struct PreflightOptions {
    std::string state_dir;
    std::string listen;
    unsigned short ssh_port = 0;
};

/// Returns false when something is missing without which hosts cannot run.
bool preflight(const PreflightOptions& options, std::ostream& out);

} // namespace lom
