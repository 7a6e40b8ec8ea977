#include "kvms/screen/lzma.h"

#include <lzma.h>

#include <cstdint>

namespace lom::kvms {

struct Lzma::Impl {
    lzma_stream stream = LZMA_STREAM_INIT;
    bool more = false;
    ~Impl() { lzma_end(&stream); }
};

Lzma::Lzma(std::string_view packed) : impl_(std::make_unique<Impl>()) {
    constexpr std::uint64_t most_memory = 64U << 20U;
    impl_->more = lzma_alone_decoder(&impl_->stream, most_memory) == LZMA_OK;
    impl_->stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    impl_->stream.avail_in = packed.size();
}

Lzma::~Lzma() = default;

bool Lzma::unpack(std::string& out, std::size_t step) {
    const std::size_t before = out.size();
    out.resize(before + (impl_->more ? step : 0));
    impl_->stream.next_out = reinterpret_cast<std::uint8_t*>(out.data()) + before;
    impl_->stream.avail_out = out.size() - before;
    while (impl_->more && impl_->stream.avail_out != 0)
        impl_->more = lzma_code(&impl_->stream, LZMA_RUN) == LZMA_OK;
    out.resize(out.size() - impl_->stream.avail_out);
    return out.size() > before;
}

} // namespace lom::kvms
