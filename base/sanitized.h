// Whether this program was built with a sanitizer, whose own system calls, files and memory are in
// no filter and within no limit of ours.
#pragma once

namespace lom {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

} // namespace lom
