// Where `dump -destination file:///PATH` puts what the service processor hands over: written by lom
// itself, with the rights of whoever runs it.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <string>

namespace lom::shell {

/// Fault wrong_state when the file exists, unless `overwrite`.
Result<void> save_file(const UniqueFd& content, const std::string& destination, bool overwrite);

} // namespace lom::shell
