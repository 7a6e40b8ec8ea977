// What the next boot does, and the OpenBoot-like prompt that decides it by hand. Pure logic with a
// clock and a save function: no sockets, no QEMU. Loop thread only.
#pragma once

#include "base/result.h"
#include "vmm/boot_state.h"
#include "vmm/line_editor.h"
#include "vmm/openboot.h"

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::vmm {

class BootControl {
  public:
    using Save = std::function<Result<void>(const BootState&)>;
    using Now = std::function<std::chrono::system_clock::time_point()>;
    /// What the prompt asks its host to do; each may call back into BootControl.
    struct Actions {
        std::function<void(const BootPlan&)> boot;
        std::function<void()> reset_all;
        std::function<void()> power_off;
        std::function<void(std::string_view)> print; ///< text for the console, CR LF line ends
    };

    BootControl(BootState state, Save save, Now now, Actions actions);
    /// Devices as defined now: tells devalias, show-devs, boot. Called when the definition changes.
    void set_machine(const HostDefinition& definition, std::vector<BootDevice> devices);
    /// Paths of the devices without a medium: `boot` says so; or waits for those that are coming.
    void set_empty_drives(std::vector<std::string> paths, std::vector<std::string> coming = {});
    /// Call it each second: shows a person that it still waits, and gives up after a minute.
    void tick();

    // -- the tree's properties; setters are durable when they return
    const BootState& state() const; ///< expired settings are already gone
    Result<void> set_script(const std::string& script);
    Result<void> set_reset_nvram(bool reset);
    Result<void> set_boot_device(const std::string& device); ///< one of boot_device_choices
    /// OpenBoot's boot-device: what every boot tries, in order.
    std::string boot_order() const;
    Result<void> set_boot_order(const std::string& devices);

    /// Puts the variables as they are now aside under a name that is still free.
    Result<void> save_config(const std::string& name);
    /// Refused for the one that the next boot is to use.
    Result<void> delete_config(const std::string& name);
    /// The config whose variables the next boot begins with; empty: none.
    Result<void> set_config(const std::string& name);

    /// Decides a boot that begins now and consumes what applies once: state, config and script, and
    /// boot_device unless the boot stops at ok, where a plain `boot` or the next boot honours it.
    /// Prints what the script's commands print. One save; when that fails the console says so, the
    /// boot goes as decided and the settings stay.
    BootPlan begin_boot();
    /// True when a guest reboot must not just repeat the running boot (auto-boot? false, or
    /// something set for the next boot).
    bool next_boot_is_special() const;

    // -- the ok prompt
    void enter_prompt(); ///< prints the banner and `{0} ok `, then takes what was typed ahead
    void leave_prompt(); ///< power went away under the prompt; not called for reset-all
    /// True also on the way to the prompt (after reset-all, and since a begin_boot() that stops at
    /// ok) and on the way from it by power-off: what is typed meanwhile waits for the next prompt.
    bool at_prompt() const { return mode_ != Mode::away; }
    void input(std::string_view bytes); ///< line editing, echo, commands

  private:
    enum class Mode { away, prompt, waiting, awaiting_medium };

    Result<void> change(const BootState& next);
    void forget_expired() const;
    void use_config(BootState& next);
    Execution run_script(const std::string& script, BootState& next);
    Execution auto_boot(BootState& next);
    void finish_line(LineEditor::Got got);
    void take_pending();
    void run_line(const std::string& line);
    Execution run_command(std::string_view command);
    void act(const Execution& execution);
    void await_medium();
    void stop_awaiting(std::string_view text);
    void print(std::string_view text);
    void flush();

    mutable BootState state_; // const readers drop what has expired
    Save save_;
    Now now_;
    Actions actions_;
    OpenBoot openboot_;
    LineEditor editor_;
    Mode mode_ = Mode::away;
    bool taking_ = false;      // an action called back into input() or enter_prompt()
    std::deque<char> pending_; // typed, not yet read
    std::string awaiting_;     // the command that waits for a medium
    unsigned awaited_ = 0;     // seconds
    std::string output_;       // not yet given to actions_.print
};

} // namespace lom::vmm
