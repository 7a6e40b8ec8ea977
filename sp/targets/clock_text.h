// Times as ILOM prints them: `Thu Oct  8 05:19:52 2015`, local time.
#pragma once

#include <cstdint>
#include <string>

namespace lom {

std::string clock_text(std::int64_t seconds_since_1970);

} // namespace lom
