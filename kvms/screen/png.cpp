#include "kvms/screen/png.h"

#include <png.h>

namespace lom::kvms {

namespace {

const Fault failed{FaultKind::internal, "The picture cannot be written as PNG."};

} // namespace

Result<std::string> png_of(const Frame& frame) {
    if (frame.pixels.empty())
        return failed;
    std::string rows; // libpng's simplified interface wants bytes in the order R G B
    rows.reserve(frame.pixels.size() * 3);
    for (const std::uint32_t pixel : frame.pixels)
        for (const unsigned shift : {16U, 8U, 0U})
            rows += static_cast<char>(pixel >> shift & 0xffU);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(frame.width);
    image.height = static_cast<png_uint_32>(frame.height);
    image.format = PNG_FORMAT_RGB;
    image.flags = PNG_IMAGE_FLAG_FAST;
    std::string out(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
    png_alloc_size_t size = out.size();
    if (png_image_write_to_memory(&image, out.data(), &size, 0, rows.data(), 0, nullptr) == 0)
        return failed;
    out.resize(size);
    return out;
}

} // namespace lom::kvms
