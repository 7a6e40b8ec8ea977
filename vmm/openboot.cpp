#include "vmm/openboot.h"

#include "vmm/nvram.h"

#include <algorithm>
#include <array>

namespace lom::vmm {

namespace {

constexpr std::size_t name_width = 22;
constexpr std::size_t value_width = 31;
constexpr std::size_t alias_width = 25;
constexpr std::size_t screen_width = 80;

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Takes the first word off `text`.
std::string_view next_word(std::string_view& text) {
    text = trim(text);
    const std::string_view word = text.substr(0, text.find_first_of(" \t"));
    text = trim(text.substr(word.size()));
    return word;
}

std::string padded(std::string text, std::size_t width) {
    text.append(text.size() < width ? width - text.size() : 1, ' ');
    return text;
}

bool is_cd(const BootDevice& device) { return device.alias.find("cdrom") != std::string::npos; }
bool is_usb(const BootDevice& device) { return device.alias.ends_with("usbdisk"); }
bool is_net(const BootDevice& device) { return device.alias.starts_with("net"); }
bool is_disk(const BootDevice& device) {
    return !is_cd(device) && !is_net(device) && !is_usb(device);
}

void add_once(std::vector<std::string>& list, std::string text) {
    if (std::find(list.begin(), list.end(), text) == list.end())
        list.push_back(std::move(text));
}

/// One command being run.
class Run {
  public:
    Run(const BootMachine& machine, BootState& state) : machine_(machine), state_(state) {}
    Execution take() { return std::move(execution_); }
    void command(std::string_view command);
    void banner(std::string_view arguments = {});

  private:
    struct Word;
    static const Word words[];
    static const Word* find_word(std::string_view name);

    void boot(std::string_view arguments);
    void devalias(std::string_view arguments);
    void enet_addr(std::string_view arguments);
    void help(std::string_view arguments);
    void list_words(std::string_view arguments);
    void power_off(std::string_view arguments);
    void printenv(std::string_view arguments);
    void reset_all(std::string_view arguments);
    void set_default(std::string_view arguments);
    void set_defaults(std::string_view arguments);
    void setenv(std::string_view arguments);
    void show_devs(std::string_view arguments);
    void show_disks(std::string_view arguments);
    void show_nets(std::string_view arguments);
    void version(std::string_view arguments);

    void line(std::string text);
    void usage(const char* word);
    void show_paths(bool (*wanted)(const BootDevice&));
    const NvramVariable* variable_or_complain(std::string_view name);
    void show_variable(const NvramVariable& variable);
    std::string ethernet_address() const;
    std::string firmware() const;

    const BootDevice* find_device(std::string_view name) const;
    const BootDevice* first_device(bool (*wanted)(const BootDevice&)) const;
    bool is_empty(const BootDevice& device) const;
    std::vector<const BootDevice*> default_devices() const;
    std::vector<const BootDevice*> one_time_devices();
    bool devices_exist(std::string_view list);
    void boot_named(std::string_view device, std::string_view arguments);
    void boot_by_list(std::string_view arguments);
    void start(const std::vector<const BootDevice*>& devices, const std::string& suffix,
               std::string_view arguments);

    const BootMachine& machine_;
    BootState& state_;
    Execution execution_;
};

struct Run::Word {
    const char* name;
    const char* arguments;
    const char* help;
    void (Run::*run)(std::string_view arguments);
};

const Run::Word Run::words[] = {
    {".enet-addr", "", "shows the Ethernet address", &Run::enet_addr},
    {".version", "", "shows the versions of this prompt and of the firmware", &Run::version},
    {"banner", "", "shows what this machine is", &Run::banner},
    {"boot", "[DEVICE] [ARGUMENTS]", "boots DEVICE, or the devices of boot-device", &Run::boot},
    {"devalias", "[NAME]", "lists the names of devices", &Run::devalias},
    {"help", "[WORD]", "shows this list, or one word of it", &Run::help},
    {"power-off", "", "powers the machine off", &Run::power_off},
    {"printenv", "[VARIABLE]", "shows the NVRAM variables", &Run::printenv},
    {"reset-all", "", "resets the machine; auto-boot? decides what follows", &Run::reset_all},
    {"set-default", "VARIABLE", "sets one NVRAM variable to its default", &Run::set_default},
    {"set-defaults", "", "sets all NVRAM variables to their defaults", &Run::set_defaults},
    {"setenv", "VARIABLE VALUE", "sets an NVRAM variable", &Run::setenv},
    {"show-devs", "", "lists all devices", &Run::show_devs},
    {"show-disks", "", "lists disks and CD drives", &Run::show_disks},
    {"show-nets", "", "lists network devices", &Run::show_nets},
    {"words", "", "lists the words of this prompt", &Run::list_words},
};

const Run::Word* Run::find_word(std::string_view name) {
    const std::string wanted = lower_case(name);
    const auto* found = std::find_if(std::begin(words), std::end(words),
                                     [&](const Word& word) { return wanted == word.name; });
    return found == std::end(words) ? nullptr : found;
}

void Run::command(std::string_view command) {
    const std::string_view name = next_word(command);
    if (name.empty())
        return;
    const Word* word = find_word(name);
    if (word == nullptr)
        return line(std::string(name) + " ?");
    // A word that takes nothing must not ignore what was meant by the rest.
    if (*word->arguments == '\0' && !command.empty())
        return usage(word->name);
    (this->*word->run)(command);
}

// -- words that tell

void Run::banner(std::string_view /*arguments*/) {
    const HostDefinition& host = machine_.definition;
    if (nvram_flag(state_.nvram, "oem-banner?"))
        return line(nvram_value(state_.nvram, "oem-banner"));
    line(host.identity.product_name + ", " + std::to_string(host.processors) +
         (host.processors == 1 ? " processor" : " processors"));
    line("OpenLOM " LOM_VERSION ", " + firmware() + ", " + std::to_string(host.memory_mib) +
         " MB memory installed, Serial #" + host.identity.serial_number + ".");
    line("Ethernet address " + ethernet_address() + ", Host name: " + host.name + ".");
}

void Run::version(std::string_view /*arguments*/) {
    line("OpenLOM " LOM_VERSION " boot control, firmware " + firmware());
}

void Run::enet_addr(std::string_view /*arguments*/) { line(ethernet_address()); }

std::string Run::ethernet_address() const {
    const auto& nics = machine_.definition.nics;
    return nics.empty() || nics.front().mac.empty() ? "none" : nics.front().mac;
}

std::string Run::firmware() const {
    return machine_.definition.firmware == Firmware::uefi ? "UEFI (OVMF)" : "BIOS (SeaBIOS)";
}

void Run::help(std::string_view arguments) {
    const Word* only = find_word(arguments);
    if (!arguments.empty() && only == nullptr)
        return line("No help for " + std::string(arguments) + "; words lists what there is.");
    for (const Word& word : words)
        if (only == nullptr || only == &word)
            line(padded(std::string(word.name) + " " + word.arguments, 32) + word.help);
    if (only == nullptr)
        line("Several commands on a line are separated by ';'.");
}

void Run::list_words(std::string_view /*arguments*/) {
    std::string row;
    for (const Word& word : words) {
        if (row.size() + std::string_view(word.name).size() >= screen_width)
            line(std::exchange(row, ""));
        row += padded(word.name, 1);
    }
    line(row);
}

void Run::devalias(std::string_view arguments) {
    const std::string_view name = next_word(arguments);
    if (!arguments.empty())
        return line("Aliases follow the host's definition and cannot be set here.");
    bool found = name.empty();
    for (const BootDevice& device : machine_.devices) {
        if (!name.empty() && name != device.alias)
            continue;
        line(padded(device.alias, alias_width) + device.path);
        found = true;
    }
    if (!found)
        line(std::string(name) + " : no such alias");
}

void Run::show_devs(std::string_view /*arguments*/) {
    std::vector<std::string> nodes = {"/memory@0"};
    for (unsigned cpu = 0; cpu < machine_.definition.processors; ++cpu)
        nodes.push_back("/cpu@" + std::to_string(cpu));
    for (const BootDevice& device : machine_.devices) {
        const std::string& path = device.path;
        for (auto slash = path.find('/', 1); slash != std::string::npos;
             slash = path.find('/', slash + 1))
            add_once(nodes, path.substr(0, slash));
        add_once(nodes, path);
    }
    for (const std::string& node : nodes)
        line(node);
}

void Run::show_disks(std::string_view /*arguments*/) {
    show_paths([](const BootDevice& device) { return !is_net(device); });
}

void Run::show_nets(std::string_view /*arguments*/) { show_paths(is_net); }

void Run::show_paths(bool (*wanted)(const BootDevice&)) {
    std::vector<std::string> paths;
    for (const BootDevice& device : machine_.devices)
        if (wanted(device))
            add_once(paths, device.path);
    for (const std::string& path : paths)
        line(path);
    if (paths.empty())
        line("This machine has none.");
}

// -- NVRAM

const NvramVariable* Run::variable_or_complain(std::string_view name) {
    const NvramVariable* variable = find_nvram_variable(name);
    if (variable == nullptr)
        line("Unknown option: " + std::string(name));
    return variable;
}

void Run::show_variable(const NvramVariable& variable) {
    line(padded(std::string(variable.name) + " =", name_width) +
         nvram_value(state_.nvram, variable.name));
}

void Run::printenv(std::string_view arguments) {
    if (!arguments.empty()) {
        if (const NvramVariable* variable = variable_or_complain(arguments))
            show_variable(*variable);
        return;
    }
    line(padded("Variable Name", name_width) + padded("Value", value_width) + "Default Value");
    for (const NvramVariable& variable : nvram_variables())
        line(padded(variable.name, name_width) +
             padded(nvram_value(state_.nvram, variable.name), value_width) + variable.fallback);
}

void Run::setenv(std::string_view arguments) {
    const std::string_view name = next_word(arguments);
    if (arguments.empty())
        return usage("setenv");
    const NvramVariable* variable = variable_or_complain(name);
    if (variable == nullptr)
        return;
    if (variable->type == NvramVariable::Type::devices && !devices_exist(arguments))
        return;
    if (const auto set = set_nvram(state_.nvram, *variable, arguments); !set)
        return line(set.fault().message);
    show_variable(*variable);
}

void Run::set_default(std::string_view arguments) {
    if (arguments.empty())
        return usage("set-default");
    if (const NvramVariable* variable = variable_or_complain(arguments))
        state_.nvram.erase(variable->name);
}

void Run::set_defaults(std::string_view /*arguments*/) {
    state_.nvram.clear();
    line("Setting NVRAM parameters to default values.");
}

// -- booting

void Run::reset_all(std::string_view /*arguments*/) {
    execution_.next = Execution::Next::reset_all;
}

void Run::power_off(std::string_view /*arguments*/) {
    execution_.next = Execution::Next::power_off;
}

void Run::boot(std::string_view arguments) {
    if (arguments.empty() || arguments.starts_with('-'))
        return boot_by_list(arguments);
    const std::string_view device = next_word(arguments);
    boot_named(device, arguments);
}

/// By alias or path, with or without device arguments (`net:dhcp`).
const BootDevice* Run::find_device(std::string_view name) const {
    name = name.substr(0, name.find(':'));
    for (const BootDevice& device : machine_.devices)
        if (name == device.alias || name == device.path)
            return &device;
    return nullptr;
}

const BootDevice* Run::first_device(bool (*wanted)(const BootDevice&)) const {
    const auto& devices = machine_.devices;
    auto found = std::find_if(devices.begin(), devices.end(), [&](const BootDevice& device) {
        return wanted(device) && !is_empty(device);
    });
    if (found == devices.end())
        found = std::find_if(devices.begin(), devices.end(), wanted);
    return found == devices.end() ? nullptr : &*found;
}

bool Run::is_empty(const BootDevice& device) const {
    const auto& empty = machine_.empty_drives;
    return std::find(empty.begin(), empty.end(), device.path) != empty.end();
}

bool Run::devices_exist(std::string_view list) {
    for (auto name = next_word(list); !name.empty(); name = next_word(list)) {
        // The default stays settable on a machine that lacks one of its devices.
        const bool of_default = name == "disk" || name == "cdrom" || name == "net";
        if (!of_default && find_device(name) == nullptr) {
            line("Unknown device: " + std::string(name) + "; devalias lists them.");
            return false;
        }
    }
    return true;
}

void Run::boot_named(std::string_view name, std::string_view arguments) {
    const BootDevice* device = find_device(name);
    if (device == nullptr)
        return line("Can't open boot device: " + std::string(name) + "; devalias lists them.");
    const auto& coming = machine_.coming_drives;
    if (std::find(coming.begin(), coming.end(), device->path) != coming.end()) {
        execution_.next = Execution::Next::await_medium;
        return line("Waiting for the medium of " + device->path + "; Ctrl-C stops it.");
    }
    if (is_empty(*device))
        return line("Can't open boot device: no medium in " + device->path);
    execution_.plan.once = true;
    const auto colon = name.find(':');
    start({device}, colon == std::string_view::npos ? "" : std::string(name.substr(colon)),
          arguments);
}

/// boot-device, less what the machine lacks.
std::vector<const BootDevice*> Run::default_devices() const {
    std::vector<const BootDevice*> devices;
    const std::string list = nvram_value(state_.nvram, "boot-device");
    std::string_view rest = list;
    for (auto name = next_word(rest); !name.empty(); name = next_word(rest))
        if (const BootDevice* device = find_device(name))
            devices.push_back(device);
    return devices;
}

/// What /HOST boot_device puts before boot-device for one boot.
std::vector<const BootDevice*> Run::one_time_devices() {
    const std::string& wanted = state_.boot_device;
    execution_.plan.once = wanted != "default";
    execution_.plan.firmware_setup = wanted == "bios";
    bool (*kind)(const BootDevice&) = wanted == "pxe"     ? is_net
                                      : wanted == "disk"  ? is_disk
                                      : wanted == "cdrom" ? is_cd
                                      : wanted == "usb"   ? is_usb
                                                          : nullptr;
    if (kind == nullptr)
        return {};
    const BootDevice* device = first_device(kind);
    if (device == nullptr) {
        line("This machine has no device for boot_device=" + wanted + ".");
        return {};
    }
    return {device};
}

void Run::boot_by_list(std::string_view arguments) {
    std::vector<const BootDevice*> devices = one_time_devices();
    for (const BootDevice* device : default_devices())
        devices.push_back(device);
    if (devices.empty() && !execution_.plan.firmware_setup)
        return line("Can't open boot device: this machine has none of boot-device = " +
                    nvram_value(state_.nvram, "boot-device"));
    const std::string file = nvram_value(state_.nvram, "boot-file");
    start(devices, "", arguments.empty() ? file : arguments);
}

void Run::start(const std::vector<const BootDevice*>& devices, const std::string& suffix,
                std::string_view arguments) {
    state_.boot_device = "default"; // used up by this boot, whichever device it takes
    BootPlan& plan = execution_.plan;
    std::vector<std::string> paths; // cdrom and rcdrom are one drive
    for (const BootDevice* device : devices) {
        const auto before = paths.size();
        add_once(paths, device->path);
        if (paths.size() > before)
            plan.order.push_back(device->alias);
    }
    plan.args = std::string(arguments);
    execution_.next = Execution::Next::boot;
    const std::string target = plan.firmware_setup ? "firmware setup" : paths.front() + suffix;
    line("Boot device: " + target + "  File and args: " + plan.args);
}

// -- output

void Run::line(std::string text) {
    // Names in the definition come from users: a terminal must not obey them.
    for (char& letter : text)
        if ((letter >= 0 && letter < ' ') || letter == 0x7f)
            letter = '?';
    execution_.text += text + "\r\n";
}

void Run::usage(const char* word) {
    const std::string arguments = find_word(word)->arguments;
    line("Usage: " + std::string(word) + (arguments.empty() ? "" : " ") + arguments);
}

} // namespace

Execution OpenBoot::run(std::string_view command, BootState& state) const {
    Run run(machine, state);
    run.command(command);
    return run.take();
}

std::string OpenBoot::banner(const BootState& state) const {
    BootState unchanged = state;
    Run run(machine, unchanged);
    run.banner();
    return run.take().text;
}

std::vector<std::string_view> split_commands(std::string_view script) {
    std::vector<std::string_view> commands;
    while (!script.empty()) {
        const auto end = std::min(script.find_first_of(";\r\n"), script.size());
        const std::string_view command = trim(script.substr(0, end));
        if (!command.empty())
            commands.push_back(command);
        script.remove_prefix(std::min(end + 1, script.size()));
    }
    return commands;
}

} // namespace lom::vmm
