// The image as a plain read-only file: FUSE mounted over an existing file (libfuse3, low level).
// Requests are read on the loop and answered whenever the engine has the bytes. Loop thread only;
// never blocks.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "kvms/media/engine/image_reader.h"
#include "kvms/media/keeper.h"
#include "kvms/media/steward.h"

#include <cerrno>
#include <functional>
#include <memory>
#include <string>

namespace lom::media {

/// The full path of `file`, a plain file to mount over. A mount that a dead lom-media left there
/// is taken away first.
Result<std::string> prepare_mount_point(const std::string& file);

class ImageMount final : public ImageReader::Answerer {
  public:
    struct Handlers {
        std::function<void(ImageReader::Token, std::uint64_t offset, std::size_t size)> read;
        std::function<void()> batch_done; ///< after one or more reads
        std::function<void()> unmounted;  ///< by somebody else
    };

    /// `steward`, which mounts, and `keeper`, if any, outlive this.
    ImageMount(Loop& loop, Steward& steward, Handlers handlers, Keeper* keeper = nullptr);
    static std::string mount_options(); ///< for the steward
    ~ImageMount() override;

    Result<void> mount(const ImageFacts& facts);
    bool mounted() const;
    /// For a source so near that asking for much costs nothing.
    void read_wider();
    /// Lazily: who has the file open gets errors from now on. Answer all reads before.
    void unmount();

    void answer(ImageReader::Token token, std::span<const iovec> parts) override;
    void refuse(ImageReader::Token token) override;
    void fail(ImageReader::Token token) override;

    /// What refuse() answers from now on: the errno that makes QEMU hold its guest, or EIO.
    void hold_readers(bool hold) { refusal_ = hold ? hold_errno : EIO; }

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    int refusal_ = EIO;
};

} // namespace lom::media
