#include "vmm/boot_state.h"
#include "vmm/nvram.h"

#include <boost/json.hpp>

#include <algorithm>

namespace lom::vmm {

namespace json = boost::json;

namespace {

constexpr std::size_t text_limit = 64U << 10U;
constexpr std::int64_t last_second = 7'258'118'400; // year 2200: what the clock's type can hold

Fault broken(const std::string& what) {
    return {FaultKind::internal, "The saved boot settings are damaged: " + what + "."};
}

/// False: the field is there and of another kind. A field that is missing keeps its default.
bool read(const json::object& object, const char* name, std::string& into) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr)
        return true;
    if (!value->is_string())
        return false;
    into = json::value_to<std::string>(*value);
    return true;
}

bool read(const json::object& object, const char* name, bool& into) {
    const json::value* value = object.if_contains(name);
    if (value != nullptr && value->is_bool())
        into = value->get_bool();
    return value == nullptr || value->is_bool();
}

using Time = std::chrono::system_clock::time_point;

std::int64_t seconds_of(Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::optional<Time> time_of(const json::value& value) {
    if (!value.is_int64() || value.get_int64() < 0 || value.get_int64() > last_second)
        return std::nullopt;
    return Time(std::chrono::seconds(value.get_int64()));
}

bool read_expires(const json::object& object, BootState& state) {
    const json::value* value = object.if_contains("expires");
    if (value == nullptr)
        return true;
    state.expires = time_of(*value);
    return state.expires.has_value();
}

bool read_nvram(const json::object& object, Nvram& nvram) {
    const json::value* value = object.if_contains("nvram");
    if (value == nullptr)
        return true;
    const json::object* variables = value->if_object();
    if (variables == nullptr)
        return false;
    for (const auto& [name, text] : *variables) {
        if (!text.is_string())
            return false;
        const std::string_view setting(text.get_string().data(), text.get_string().size());
        const NvramVariable* variable =
            find_nvram_variable(std::string_view(name.data(), name.size()));
        if (variable != nullptr)
            (void)set_nvram(nvram, *variable, setting);
    }
    return true;
}

bool read_configs(const json::object& object, BootState& state) {
    const json::value* value = object.if_contains("configs");
    if (value == nullptr)
        return true;
    const json::object* configs = value->if_object();
    if (configs == nullptr || configs->size() > boot_configs_limit)
        return false;
    for (const auto& [key, entry] : *configs) {
        const std::string name(key.data(), key.size());
        const json::object* config = entry.if_object();
        const json::value* created = config == nullptr ? nullptr : config->if_contains("created");
        const auto time = created == nullptr ? std::nullopt : time_of(*created);
        BootConfig kept;
        if (!time || !check_config_name(name) || !read_nvram(*config, kept.nvram))
            return false;
        kept.created = *time;
        state.configs.emplace(name, std::move(kept));
    }
    return true;
}

json::object nvram_json(const Nvram& nvram) {
    json::object object;
    for (const auto& [name, value] : nvram)
        object[name] = value;
    return object;
}

bool is_script_character(char c) {
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t';
}

} // namespace

Result<void> check_boot_script(const std::string& script) {
    if (script.size() > boot_script_limit)
        return Fault{FaultKind::invalid_value,
                     "A script has at most " + std::to_string(boot_script_limit) +
                         " bytes; this one has " + std::to_string(script.size()) + "."};
    if (!std::all_of(script.begin(), script.end(), is_script_character))
        return Fault{FaultKind::invalid_value,
                     "A script holds printable ASCII characters and line ends only."};
    return {};
}

Result<void> check_boot_device(const std::string& device) {
    const auto& choices = boot_device_choices;
    if (std::find(choices.begin(), choices.end(), device) != choices.end())
        return {};
    return Fault{FaultKind::invalid_value,
                 "The next boot can be from default, pxe, disk, cdrom or bios."};
}

Result<void> check_config_name(const std::string& name) {
    constexpr std::size_t longest = 32;
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    if (name.empty() || name.size() > longest || name.front() == '.' ||
        !std::all_of(name.begin(), name.end(), fits))
        return Fault{FaultKind::invalid_value,
                     "A configuration's name has letters, digits, '-', '_' and '.', 32 at most."};
    if (lower_case(name) == factory_default)
        return Fault{FaultKind::invalid_value, "The name factory-default stands for the defaults."};
    return {};
}

std::string boot_state_to_json(const BootState& state) {
    json::object configs;
    for (const auto& [name, config] : state.configs)
        configs[name] = json::object{{"nvram", nvram_json(config.nvram)},
                                     {"created", seconds_of(config.created)}};
    json::object object{{"nvram", nvram_json(state.nvram)},
                        {"script", state.script},
                        {"reset_nvram", state.reset_nvram},
                        {"boot_device", state.boot_device},
                        {"configs", configs},
                        {"config", state.config}};
    if (state.expires)
        object["expires"] = seconds_of(*state.expires);
    return json::serialize(object) + "\n";
}

Result<BootState> boot_state_from_json(const std::string& text) {
    if (text.size() > text_limit)
        return broken("they are too long");
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    if (error)
        return broken("they are not JSON");
    const json::object* object = value.if_object();
    if (object == nullptr)
        return broken("they are no JSON object");
    BootState state;
    if (!read_nvram(*object, state.nvram))
        return broken("'nvram' does not map names to text");
    if (!read(*object, "script", state.script) || !read(*object, "boot_device", state.boot_device))
        return broken("'script' or 'boot_device' is no text");
    if (!check_boot_script(state.script) || !check_boot_device(state.boot_device))
        return broken("'script' or 'boot_device' has a wrong value");
    if (!read(*object, "reset_nvram", state.reset_nvram) || !read_expires(*object, state))
        return broken("'reset_nvram' or 'expires' has a wrong value");
    if (!read_configs(*object, state))
        return broken("'configs' has a wrong value");
    if (!read(*object, "config", state.config) ||
        (!state.config.empty() && state.config != factory_default &&
         !state.configs.contains(state.config)))
        return broken("'config' names none of them");
    return state;
}

} // namespace lom::vmm
