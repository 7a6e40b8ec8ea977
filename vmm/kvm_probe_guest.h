// The code that the KVM probe runs as its guest, and the stages it reports. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lom::vmm {

/// The guest writes the number of each stage that it got through to this port, then halts.
constexpr std::uint16_t probe_port = 0x80;
constexpr std::uint64_t probe_address = 0x1000; ///< where it is loaded and begins, in real mode
constexpr unsigned probe_loops = 1'000'000;     ///< rounds of the speed stage

enum class ProbeStage : std::uint8_t {
    none,
    real_mode,  ///< moves, arithmetic, stack, call, port output
    fpu,        ///< x87 instructions
    long_mode,  ///< paging, EFER, 64-bit code
    sse,        ///< SSE2 instructions give the right result
    exceptions, ///< an invalid opcode reaches its handler, which returns
    kernel,     ///< code at a kernel's high address; swapgs, invlpg
    speed,      ///< probe_loops rounds of a loop
};

} // namespace lom::vmm

extern "C" const unsigned char lom_probe_guest_begin[]; // NOLINT: named by the assembler
extern "C" const unsigned char lom_probe_guest_end[];   // NOLINT
