// An SFTP session on the image library: bytes between standard input and output and the stream that
// lomd gave, no faster than the slower side takes them. What became of the files is said at the
// end. One thread.
#pragma once

#include "sp/control/client.h"

namespace lom::shell {

/// The exit status.
int serve_sftp(control::Client& client);

} // namespace lom::shell
