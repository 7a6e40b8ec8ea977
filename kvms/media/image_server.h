// Keeps one remote image served: connects, mounts, connects again, and says how it stands. The
// engine is ImageReader; this is what joins it to a Source, the mount, the clock and the control
// socket. Loop thread only.
#pragma once

#include "base/loop.h"
#include "kvms/media/control_socket.h"
#include "kvms/media/engine/disk_store.h"
#include "kvms/media/engine/image_reader.h"
#include "kvms/media/engine/source.h"
#include "kvms/media/image_mount.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace lom::media {

class ImageServer final : private SourceListener {
  public:
    using MakeSource = std::function<std::unique_ptr<Source>(SourceListener&)>;
    struct Settings {
        std::string uri;         ///< for the report
        std::string file;        ///< for messages
        std::string confinement; ///< for the report
        std::size_t cache_bytes = 0;
        bool warn_of_unremembered_key = false;
        bool fill = true;         ///< fetch the whole image while nobody wants anything
        DiskStore::Settings disk; ///< no folder: no disk cache
    };

    /// `keeper` (may be absent) goes on when this process dies.
    ImageServer(Loop& loop, Settings settings, Steward& steward, MakeSource make_source,
                std::unique_ptr<Keeper> keeper);

    /// With a control socket, failures at the start are reported and tried again; without one they
    /// end run().
    void listen(UniqueFd control);
    /// Until SIGTERM, SIGINT or a stop command; answers the exit status.
    int run();

  private:
    void source_identified(const ServerIdentity& identity) override;
    void source_opened(const ImageFacts& facts) override;
    std::span<char> source_room(std::uint32_t request, std::uint32_t length) override;
    void source_received(std::uint32_t request, std::uint32_t length) override;
    void source_read_failed(std::uint32_t request) override;
    void source_ready() override;
    void source_lost(const Problem& problem) override;

    void connect();
    void retry(bool transient);
    void request_blocks();
    void review();
    void became_operational();
    void open_disk_cache(const ImageFacts& facts);
    void note_figures();
    void tick();
    void report(Status status, std::string detail);
    void publish();
    void hold(bool hold, std::chrono::seconds limit);
    void eject();
    void stop(int exit_status);

    Loop& loop_;
    Settings settings_;
    MakeSource make_source_;
    std::unique_ptr<Keeper> keeper_;
    ImageMount mount_;
    std::unique_ptr<DiskStore> disk_;
    ImageReader reader_;
    std::unique_ptr<Source> source_;
    std::optional<ControlSocket> control_;
    Report report_;
    Report published_;
    std::chrono::milliseconds retry_delay_;
    std::uint64_t bytes_then_ = 0; ///< received, at the last tick
    bool ready_ = false;           ///< the image has been served
    int exit_status_ = 0;
    Loop::Handle retry_;
};

} // namespace lom::media
