// A picture as a PNG file. Any thread; about 20 ms for a large picture.
#pragma once

#include "base/result.h"
#include "kvms/screen/frame.h"

#include <string>

namespace lom::kvms {

Result<std::string> png_of(const Frame& frame);

} // namespace lom::kvms
