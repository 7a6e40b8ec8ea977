// /SP/services/ssh: the SSH door, its port and its host keys.
#include "sp/service/ssh_door.h"
#include "sp/targets/targets.h"

namespace lom {

namespace {

void answer(const Property::Done& done, const Result<void>& result) {
    done(result ? Result<SetOutcome>(SetOutcome{}) : result.fault());
}

Target::Ptr host_key_target(const SshDoor::HostKey& key) {
    auto target = Target::make(key.type, "A host key, by which clients know this system.");
    target->shows<std::string>("fingerprint", "Its SHA-256, as clients show it.",
                               [=] { return key.key.fingerprint(); });
    target->shows<std::int64_t>("length", "Its size in bits.",
                                [=] { return std::int64_t{key.key.bits}; });
    target->shows<std::string>("publickey", "The key, for a known_hosts file.",
                               [=] { return key.key.line(); });
    return target;
}

void generate(SshDoor& ssh, DoorSettings& doors, const Property::Done& done) {
    if (*doors.new_key_type == HostKeyType::none)
        return done(Fault{FaultKind::wrong_state, "Set generate_new_key_type first."});
    ssh.generate_key(
        Codec<HostKeyType>::type().print(Codec<HostKeyType>::wrap(*doors.new_key_type)),
        [done](const Result<void>& made) { answer(done, made); });
}

void add_keys(Target& target, SshDoor& ssh, DoorSettings& doors) {
    target.managed<bool>(
        {.name = "generate_new_key_action",
         .doc = "true: replaces the host key of the type that "
                "generate_new_key_type names; new connections get it at once.",
         .write = Role::admin,
         .set = [&ssh, &doors](const Caller&, bool sure, const Property::Done& done) {
             if (!sure)
                 return done(SetOutcome{});
             generate(ssh, doors, done);
         }});
    target.persistent<HostKeyType>(doors.new_key_type,
                                   {.name = "generate_new_key_type",
                                    .doc = "What generate_new_key_action makes.",
                                    .write = Role::admin});
    auto keys = Target::make("keys", "By these clients know this system.");
    keys->dynamic_children([&ssh] {
        std::vector<Target::Ptr> children;
        for (const SshDoor::HostKey& key : ssh.host_keys())
            children.push_back(host_key_target(key));
        return children;
    });
    target.child(keys);
}

Result<void> check_port(std::int64_t port) {
    if (port < 1 || port > 65535)
        return Fault{FaultKind::invalid_value, "A port is 1 to 65535."};
    return {};
}

} // namespace

Target::Ptr services_ssh_target(const TargetContext& context) {
    auto target = Target::make("ssh", "Logging in with SSH.");
    SshDoor& ssh = context.ssh;
    DoorSettings& doors = context.doors;
    add_keys(*target, ssh, doors);
    target->managed<std::int64_t>(
        {.name = "port",
         .doc = "Where it listens; sessions are not cut by a change.",
         .write = Role::admin,
         .get = [&ssh] { return std::int64_t{ssh.port()}; },
         .set =
             [&ssh, &doors](const Caller&, std::int64_t port, const Property::Done& done) {
                 if (const auto fine = check_port(port); !fine)
                     return done(fine.fault());
                 if (const auto moved = ssh.move_to(static_cast<std::uint16_t>(port)); !moved)
                     return done(moved.fault());
                 answer(done, doors.ssh_port.set(port));
             }});
    target->managed<bool>({.name = "restart_sshd_action",
                           .doc = "true: starts the service anew; sessions are not cut.",
                           .write = Role::admin,
                           .set = [&ssh](const Caller&, bool sure, const Property::Done& done) {
                               answer(done, sure ? ssh.restart() : Result<void>());
                           }});
    target->managed<Switch>(
        {.name = "state",
         .doc = "disabled: nobody can log in with SSH any more; sessions are not cut.",
         .write = Role::admin,
         .get = [&doors] { return *doors.ssh_state; },
         .set =
             [&ssh, &doors](const Caller&, Switch state, const Property::Done& done) {
                 if (const auto turned = ssh.enable(state == Switch::enabled); !turned)
                     return done(turned.fault());
                 answer(done, doors.ssh_state.set(state));
             }});
    return target;
}

} // namespace lom
