// Unpacks an LZMA stream of the old kind (".lzma", as UEFI firmware has it), step by step, so that
// what is wanted near its beginning costs no more than that. Any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace lom::kvms {

class Lzma {
  public:
    /// `packed` outlives it; what follows the stream does not matter.
    explicit Lzma(std::string_view packed);
    ~Lzma();

    /// Appends at most `step` bytes. False: there is nothing more, or nothing that makes sense.
    bool unpack(std::string& out, std::size_t step);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::kvms
