// Small files that must survive a crash. Any thread.
#pragma once

#include "base/result.h"

#include <string>

#include <sys/types.h>

namespace lom {

Result<std::string> read_file(const std::string& path);
/// Writes a temporary file beside `path`, fsyncs it, renames it, fsyncs the folder.
Result<void> write_file_durably(const std::string& path, const std::string& content, mode_t mode);
/// The same without fsync: whole for whoever reads it after this process died, not after the
/// machine did. For what a restart of the machine makes worthless anyway.
Result<void> replace_file(const std::string& path, const std::string& content, mode_t mode);
Result<void> make_directories(const std::string& path, mode_t mode);

} // namespace lom
