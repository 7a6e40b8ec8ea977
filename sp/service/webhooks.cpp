#include "sp/service/webhooks.h"

#include "base/json_fields.h"
#include "sp/control/wire.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

namespace json = boost::json;

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr int hook_number = 3;
constexpr int events_number = 4;
constexpr auto again_after = 2s; // a deliverer that dies
constexpr std::size_t longest_text = 1000;

json::object to_json(const Webhook& hook) {
    return {{"name", hook.name},
            {"destination", hook.destination},
            {"context", hook.context},
            {"secret", hook.secret},
            {"verify", hook.verify}};
}

bool is_name(const std::string& name) {
    return !name.empty() && name.size() <= 32 &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_") == std::string::npos;
}

Result<void> check(const Webhook& hook) {
    if (!is_name(hook.name))
        return Fault{FaultKind::invalid_value,
                     "A webhook's name has 1 to 32 letters, digits, '-' and '_'."};
    const bool fine =
        (hook.destination.starts_with("https://") || hook.destination.starts_with("http://")) &&
        hook.destination.find_first_of(" @#\"") == std::string::npos;
    if (!fine)
        return Fault{FaultKind::invalid_value,
                     "A destination is https://HOST[:PORT]/PATH or http://..., without an account "
                     "in it."};
    for (const std::string* text : {&hook.destination, &hook.context, &hook.secret})
        if (text->size() > longest_text)
            return Fault{FaultKind::invalid_value, "A text of a webhook has 1000 bytes at most."};
    return {};
}

} // namespace

struct Webhooks::Deliverer {
    ProcessId process;
    std::uint64_t subscription = 0;
    std::string status = "idle";
    std::unique_ptr<Stream> stream;
    Loop::Handle exit;
    Loop::Handle again;
};

Webhooks::Webhooks(Loop& loop, Paths paths, Settings& store, control::Events& events)
    : loop_(loop), paths_(std::move(paths)), events_(events), stored_(store, "sp/webhooks", "") {
    boost::system::error_code error;
    const json::value value = json::parse(stored_->empty() ? "[]" : *stored_, error);
    if (error || !value.is_array())
        return;
    for (const json::value& item : value.get_array())
        if (const json::object* object = item.if_object()) {
            Webhook hook{fields::text(*object, "name"), fields::text(*object, "destination"),
                         fields::text(*object, "context"), fields::text(*object, "secret"),
                         fields::flag(*object, "verify", true)};
            if (check(hook))
                hooks_[hook.name] = hook;
        }
    for (const auto& [name, hook] : hooks_)
        start(name);
}

Webhooks::~Webhooks() {
    while (!deliverers_.empty())
        stop(std::string(deliverers_.begin()->first));
}

std::vector<Webhook> Webhooks::list() const {
    std::vector<Webhook> all;
    for (const auto& [name, hook] : hooks_)
        all.push_back(hook);
    return all;
}

const Webhook* Webhooks::find(const std::string& name) const {
    const auto found = hooks_.find(name);
    return found == hooks_.end() ? nullptr : &found->second;
}

Result<void> Webhooks::save(const std::map<std::string, Webhook>& hooks) {
    json::array array;
    for (const auto& [name, hook] : hooks)
        array.push_back(to_json(hook));
    return stored_.set(json::serialize(array));
}

Result<void> Webhooks::put(const Webhook& hook) {
    if (const auto fine = check(hook); !fine)
        return fine;
    auto hooks = hooks_;
    hooks[hook.name] = hook;
    if (hooks.size() > most)
        return Fault{FaultKind::wrong_state, "There are 16 webhooks; delete one first."};
    if (const auto saved = save(hooks); !saved)
        return saved;
    hooks_ = std::move(hooks);
    stop(hook.name);
    start(hook.name);
    return {};
}

Result<void> Webhooks::remove(const std::string& name) {
    auto hooks = hooks_;
    hooks.erase(name);
    if (const auto saved = save(hooks); !saved)
        return saved;
    hooks_ = std::move(hooks);
    stop(name);
    return {};
}

std::string Webhooks::status(const std::string& name) const {
    const auto found = deliverers_.find(name);
    return found == deliverers_.end() ? "" : found->second->status;
}

void Webhooks::start(const std::string& name) {
    auto deliverer = std::make_shared<Deliverer>();
    deliverers_[name] = deliverer;
    const auto again = [this, name] {
        deliverers_[name]->again = loop_.after(again_after, [this, name] {
            stop(name);
            start(name);
        });
    };
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return again();
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const auto events = events_.subscribe(deliverer->subscription);
    const UniqueFd programs(::open(paths_.programs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    SpawnOptions options;
    options.argv = {"lom-web", "--webhook-fd", std::to_string(hook_number), "--events-fd",
                    std::to_string(events_number)};
    options.program_folder = programs.get();
    if (!events)
        return again();
    options.fds = {{theirs.get(), hook_number}, {events->get(), events_number}};
    run_as_nobody(options);
    const auto process = spawn(options);
    if (!process)
        return again();
    deliverer->process = *process;
    deliverer->exit = loop_.on_exit(process->pid, [deliverer = deliverer.get(), again](int) {
        deliverer->process = {};
        again();
    });
    // Its address and key go out in one line; each line that comes back is a status.
    deliverer->stream = std::make_unique<Stream>(
        loop_, std::move(ours),
        Stream::Handlers{
            [deliverer = deliverer.get()](std::string_view bytes, const std::vector<UniqueFd>&) {
                while (!bytes.empty() && bytes.back() == '\n')
                    bytes.remove_suffix(1);
                deliverer->status =
                    control::valid_utf8(bytes.substr(bytes.rfind('\n') + 1).substr(0, 300));
            },
            [](const std::string&) {}});
    deliverer->stream->send(json::serialize(to_json(hooks_.at(name))) + "\n");
}

void Webhooks::stop(const std::string& name) {
    const auto found = deliverers_.find(name);
    if (found == deliverers_.end())
        return;
    const auto deliverer = found->second;
    deliverers_.erase(found);
    events_.unsubscribe(deliverer->subscription);
    const pid_t pid = deliverer->process.pid;
    if (pid <= 0)
        return;
    send_signal(deliverer->process, SIGKILL);
    ended_[pid] = loop_.on_exit(pid, [this, pid](int) { ended_.erase(pid); });
}

} // namespace lom
