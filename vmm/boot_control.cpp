#include "vmm/boot_control.h"

#include "vmm/nvram.h"

#include <algorithm>
#include <utility>

namespace lom::vmm {

namespace {

constexpr std::string_view prompt = "{0} ok ";
constexpr std::chrono::minutes reset_nvram_lifetime{10};
constexpr std::size_t pending_limit = 4096; // typed ahead of the next prompt
constexpr std::size_t output_chunk = 4096;
constexpr unsigned longest_await = 60; // seconds
constexpr char control_c = 3;

using Next = Execution::Next;

} // namespace

BootControl::BootControl(BootState state, Save save, Now now, Actions actions)
    : state_(std::move(state)), save_(std::move(save)), now_(std::move(now)),
      actions_(std::move(actions)) {}

void BootControl::set_machine(const HostDefinition& definition, std::vector<BootDevice> devices) {
    openboot_.machine.definition = definition;
    openboot_.machine.devices = std::move(devices);
}

void BootControl::set_empty_drives(std::vector<std::string> paths,
                                   std::vector<std::string> coming) {
    openboot_.machine.empty_drives = std::move(paths);
    openboot_.machine.coming_drives = std::move(coming);
    if (mode_ != Mode::awaiting_medium)
        return;
    BootState tried = state_;
    if (openboot_.run(awaiting_, tried).next == Next::await_medium)
        return;
    mode_ = Mode::prompt;
    print("\r\n");
    run_line(std::exchange(awaiting_, "")); // boots, or says that there is none
    flush();
}

void BootControl::await_medium() {
    mode_ = Mode::awaiting_medium;
    awaited_ = 0;
    flush();
}

void BootControl::tick() {
    if (mode_ != Mode::awaiting_medium)
        return;
    if (++awaited_ == longest_await)
        return stop_awaiting("\r\nIt does not come.\r\n");
    print(".");
    flush();
}

void BootControl::stop_awaiting(std::string_view text) {
    mode_ = Mode::prompt;
    awaiting_.clear();
    pending_.clear();
    print(text);
    print(prompt);
    flush();
}

// -- settings

const BootState& BootControl::state() const {
    forget_expired();
    return state_;
}

void BootControl::forget_expired() const {
    if (!state_.expires)
        return;
    const auto left = *state_.expires - now_();
    // More than it ever had means that the clock was set back: it would live on for ever.
    if (left > left.zero() && left <= reset_nvram_lifetime)
        return;
    state_.reset_nvram = false;
    state_.expires.reset();
}

Result<void> BootControl::change(const BootState& next) {
    if (next == state_)
        return {};
    if (auto saved = save_(next); !saved)
        return saved;
    state_ = next;
    return {};
}

Result<void> BootControl::set_script(const std::string& script) {
    if (auto checked = check_boot_script(script); !checked)
        return checked;
    BootState next = state();
    next.script = script;
    return change(next);
}

Result<void> BootControl::set_reset_nvram(bool reset) {
    BootState next = state();
    next.reset_nvram = reset;
    next.expires.reset();
    if (reset)
        next.expires = now_() + reset_nvram_lifetime;
    return change(next);
}

Result<void> BootControl::set_boot_device(const std::string& device) {
    if (auto checked = check_boot_device(device); !checked)
        return checked;
    BootState next = state();
    next.boot_device = device;
    return change(next);
}

std::string BootControl::boot_order() const { return nvram_value(state().nvram, "boot-device"); }

Result<void> BootControl::set_boot_order(const std::string& devices) {
    BootState next = state();
    const auto done = set_nvram(next.nvram, *find_nvram_variable("boot-device"), devices);
    return done ? change(next) : done;
}

// Names differ in more than case, as everywhere in the tree.
std::map<std::string, BootConfig>::const_iterator find_config(const BootState& state,
                                                              const std::string& name) {
    return std::find_if(state.configs.begin(), state.configs.end(), [&](const auto& entry) {
        return lower_case(entry.first) == lower_case(name);
    });
}

Result<void> BootControl::save_config(const std::string& name) {
    if (auto checked = check_config_name(name); !checked)
        return checked;
    BootState next = state();
    if (find_config(next, name) != next.configs.end())
        return Fault{FaultKind::wrong_state, "The configuration " + name + " exists already."};
    if (next.configs.size() == boot_configs_limit)
        return Fault{FaultKind::wrong_state,
                     "There are " + std::to_string(boot_configs_limit) +
                         " configurations already; delete one of them first."};
    next.configs[name] = {next.nvram, std::chrono::floor<std::chrono::seconds>(now_())};
    return change(next);
}

Result<void> BootControl::delete_config(const std::string& name) {
    BootState next = state();
    if (next.config == name)
        return Fault{FaultKind::wrong_state,
                     "The next boot is to use it: set /HOST/bootmode config=\"\" first."};
    next.configs.erase(name);
    return change(next);
}

Result<void> BootControl::set_config(const std::string& name) {
    BootState next = state();
    const auto known = find_config(next, name);
    if (name.empty() || lower_case(name) == factory_default)
        next.config = lower_case(name);
    else if (known != next.configs.end())
        next.config = known->first;
    else
        return Fault{FaultKind::invalid_value,
                     "There is no configuration of that name: see show /HOST/domain/configs. "
                     "factory-default is there always."};
    return change(next);
}

bool BootControl::next_boot_is_special() const {
    const BootState& now = state();
    return !nvram_flag(now.nvram, "auto-boot?") || !now.script.empty() || now.reset_nvram ||
           !now.config.empty() || now.boot_device != "default";
}

// -- a boot begins

BootPlan BootControl::begin_boot() {
    BootState next = state();
    if (std::exchange(next.reset_nvram, false)) {
        next.nvram.clear();
        print("Setting NVRAM parameters to default values.\r\n");
    }
    next.expires.reset();
    use_config(next);
    Execution decided = run_script(std::exchange(next.script, ""), next);
    // A script's reset-all asks for what begins anyway.
    if (decided.next == Next::stay || decided.next == Next::reset_all)
        decided = auto_boot(next);
    if (const auto saved = change(next); !saved)
        print(saved.fault().message + "\r\n");

    BootPlan plan = std::move(decided.plan);
    plan.power_off = decided.next == Next::power_off;
    plan.stop_at_ok = decided.next != Next::boot;
    if (plan.stop_at_ok && !plan.power_off)
        mode_ = Mode::waiting; // what is typed while the machine starts is for the prompt
    else
        leave_prompt();
    flush();
    return plan;
}

void BootControl::use_config(BootState& next) {
    const std::string name = std::exchange(next.config, "");
    if (name.empty())
        return;
    next.nvram = name == factory_default ? Nvram() : next.configs[name].nvram;
    print("Setting NVRAM parameters to those of " + name + ".\r\n");
}

Execution BootControl::run_script(const std::string& script, BootState& next) {
    for (const std::string_view command : split_commands(script)) {
        print(std::string(prompt) + std::string(command) + "\r\n");
        Execution execution = openboot_.run(command, next);
        print(execution.text);
        if (execution.next == Next::await_medium)
            awaiting_ = command;
        if (execution.next != Next::stay)
            return execution;
    }
    return {};
}

/// Says nothing when it boots: with auto-boot? true nobody sees the prompt's work.
Execution BootControl::auto_boot(BootState& next) {
    if (!nvram_flag(next.nvram, "auto-boot?"))
        return {};
    const bool one_time = next.boot_device != "default";
    const std::string command = one_time ? "boot" : nvram_value(next.nvram, "boot-command");
    Execution execution = openboot_.run(command, next);
    if (execution.next == Next::reset_all) {
        execution = {};
        execution.text = "boot-command = " + command + " would never end.\r\n";
    }
    if (execution.next == Next::stay)
        print(execution.text);
    return execution;
}

// -- the prompt

void BootControl::enter_prompt() {
    editor_.start();
    mode_ = Mode::prompt;
    print("\r\n" + openboot_.banner(state()) + "\r\n" + std::string(prompt));
    if (!awaiting_.empty()) { // a script's, which led here
        print(awaiting_ + "\r\n");
        run_line(std::exchange(awaiting_, ""));
    }
    flush();
    take_pending();
}

void BootControl::leave_prompt() {
    mode_ = Mode::away;
    pending_.clear();
    awaiting_.clear();
}

void BootControl::input(std::string_view bytes) {
    if (mode_ == Mode::awaiting_medium && bytes.find(control_c) != std::string_view::npos)
        return stop_awaiting("^C\r\n");
    while (mode_ != Mode::away && !bytes.empty()) {
        const std::size_t count = std::min(pending_limit - pending_.size(), bytes.size());
        if (count == 0)
            return; // too far ahead of the next prompt
        pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + count);
        bytes.remove_prefix(count);
        take_pending();
    }
}

void BootControl::take_pending() {
    if (std::exchange(taking_, true))
        return; // the caller further up goes on
    while (mode_ == Mode::prompt && !pending_.empty()) {
        const char byte = pending_.front();
        pending_.pop_front();
        std::string echo;
        const LineEditor::Got got = editor_.take(byte, echo);
        print(echo);
        finish_line(got);
    }
    taking_ = false;
    flush();
}

void BootControl::finish_line(LineEditor::Got got) {
    switch (got) {
    case LineEditor::Got::nothing:
        return;
    case LineEditor::Got::line:
        return run_line(editor_.line());
    case LineEditor::Got::too_long:
        print("A line has at most " + std::to_string(LineEditor::line_limit) +
              " characters; this one was not run.\r\n");
        break;
    case LineEditor::Got::interrupt:
        break;
    }
    print(prompt);
}

void BootControl::run_line(const std::string& line) {
    for (const std::string_view command : split_commands(line)) {
        const Execution execution = run_command(command);
        if (execution.next == Next::await_medium)
            awaiting_ = command;
        if (execution.next != Next::stay)
            return act(execution);
    }
    print(prompt);
}

Execution BootControl::run_command(std::string_view command) {
    BootState next = state();
    Execution execution = openboot_.run(command, next);
    if (const auto saved = change(next); !saved) {
        print(saved.fault().message + "\r\n");
        if (execution.next == Next::stay)
            return execution; // its text tells of a change that was not made
    }
    print(execution.text);
    return execution;
}

void BootControl::act(const Execution& execution) {
    flush();
    if (execution.next == Next::await_medium)
        return await_medium();
    if (execution.next == Next::boot) {
        leave_prompt();
        actions_.boot(execution.plan);
        return;
    }
    mode_ = Mode::waiting;
    execution.next == Next::power_off ? actions_.power_off() : actions_.reset_all();
}

void BootControl::print(std::string_view text) {
    output_ += text;
    if (output_.size() >= output_chunk)
        flush();
}

void BootControl::flush() {
    if (!output_.empty())
        actions_.print(std::exchange(output_, ""));
}

} // namespace lom::vmm
