// The inside of lom-kvm: one host's screen between QEMU's display and the viewers, told what to do
// by whichever lomd runs. It opens nothing by itself: the display and every viewer arrive as
// descriptors over the control socket. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "kvms/screen/font.h"

#include <memory>
#include <string>

namespace lom::kvms {

class ScreenProcess {
  public:
    /// `listener`: the control socket, on which only lomd's own user can connect. `fonts`: what
    /// screens are read with, and the SP's pictures written with the first.
    ScreenProcess(Loop& loop, UniqueFd listener, std::string host, Fonts fonts);
    ~ScreenProcess();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::kvms
