// /SP/network: what this machine has, and ping.
#include "base/files.h"
#include "base/process.h"
#include "sp/targets/targets.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/wait.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>

namespace lom {

namespace {

struct Interface {
    std::string name, address, netmask, mac, gateway;
};

std::string ipv4_text(const sockaddr* address) {
    char text[INET_ADDRSTRLEN] = "";
    if (address != nullptr)
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text,
                  sizeof(text));
    return text;
}

/// The interface of the default route and its gateway, from the kernel's routing table.
std::pair<std::string, std::string> default_route() {
    const auto table = read_file("/proc/net/route");
    std::istringstream lines(table ? *table : "");
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string interface, destination, gateway;
        fields >> interface >> destination >> gateway;
        if (destination != "00000000")
            continue;
        const in_addr address{static_cast<in_addr_t>(std::stoul(gateway, nullptr, 16))};
        char text[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &address, text, sizeof(text));
        return {interface, text};
    }
    return {"", ""};
}

/// The interface that faces the network: that of the default route, else the first one up.
Interface primary_interface() {
    const auto [route, gateway] = default_route();
    Interface best;
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0)
        return best;
    for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET ||
            (entry->ifa_flags & IFF_UP) == 0)
            continue;
        const bool loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
        if (entry->ifa_name == route || best.name.empty() || (best.name == "lo" && !loopback))
            best = {entry->ifa_name, ipv4_text(entry->ifa_addr), ipv4_text(entry->ifa_netmask), "",
                    ""};
        if (entry->ifa_name == route)
            break;
    }
    freeifaddrs(all);
    if (best.name == route)
        best.gateway = gateway;
    if (auto mac = read_file("/sys/class/net/" + best.name + "/address")) {
        mac->erase(std::remove(mac->begin(), mac->end(), '\n'), mac->end());
        std::transform(mac->begin(), mac->end(), mac->begin(), [](char c) {
            return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        });
        best.mac = *mac;
    }
    return best;
}

/// The kernel is asked once for all the properties that a `show` prints, not once for each.
class RecentInterface {
  public:
    const Interface& get() {
        constexpr auto fresh = std::chrono::milliseconds(500);
        const auto now = std::chrono::steady_clock::now();
        if (!asked_ || now - *asked_ > fresh) {
            interface_ = primary_interface();
            asked_ = now;
        }
        return interface_;
    }

  private:
    std::optional<std::chrono::steady_clock::time_point> asked_;
    Interface interface_;
};

// -- ping: the system's own program, bounded to 10 s; the loop goes on meanwhile

Result<void> check_host_text(const std::string& host) {
    const bool fine = !host.empty() && host.size() <= 253 && host[0] != '-' &&
                      std::all_of(host.begin(), host.end(), [](char c) {
                          return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' ||
                                 c == ':' || c == '-' || c == '_' || c == '%';
                      });
    if (!fine)
        return Fault{FaultKind::invalid_value,
                     "Give the address or the name of a host: ping=192.0.2.1."};
    return {};
}

void ping(Loop& loop, const std::string& family, const std::string& host,
          const Property::Done& done) {
    if (const auto fine = check_host_text(host); !fine)
        return done(fine.fault());
    const auto process =
        spawn({.argv = {"ping", family, "-n", "-q", "-c", "1", "-w", "5", "--", host},
               .stderr_path = "/dev/null",
               .capabilities = {CAP_NET_RAW}});
    if (!process)
        return done(Fault{FaultKind::unavailable,
                          process.fault().message + "; install the package iputils-ping."});
    struct Run {
        Loop::Handle exit, limit;
    };
    auto run = std::make_shared<Run>();
    // Name resolution may outlast ping's own deadline.
    run->limit = loop.after(std::chrono::seconds(9),
                            [process = *process] { send_signal(process, SIGKILL); });
    run->exit = loop.on_exit(process->pid, [run, host, done](int status) mutable {
        const bool answered = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        done(SetOutcome{"Ping of " + host + (answered ? " succeeded" : " failed"), !answered});
        run->limit.reset();
        const auto own_handle = std::move(run->exit); // breaks the cycle; ends with this call
    });
}

Target::Ptr test_target(const TargetContext& context) {
    auto target = Target::make("test", "Can this machine reach another one?");
    Loop& loop = context.loop;
    const auto action = [&](const char* name, const char* family, const char* doc) {
        target->managed<std::string>(
            {.name = name,
             .doc = doc,
             .write = Role::admin | Role::console | Role::reset | Role::read_only,
             .set = [&loop, family = std::string(family)](const Caller&, const std::string& host,
                                                          const Property::Done& done) {
                 ping(loop, family, host, done);
             }});
    };
    action("ping", "-4", "Set to an IPv4 address or a host name to ping it.");
    action("ping6", "-6", "Set to an IPv6 address or a host name to ping it.");
    return target;
}

} // namespace

Target::Ptr network_target(const TargetContext& context) {
    auto target = Target::make("network", "The network of the machine that the service processor "
                                          "runs on.");
    const auto recent = std::make_shared<RecentInterface>();
    const auto shows = [&](const char* name, const char* doc, std::string Interface::*member) {
        target->shows<std::string>(name, doc, [recent, member] { return recent->get().*member; });
    };
    shows("ipaddress", "Its IPv4 address.", &Interface::address);
    shows("ipgateway", "Its default gateway.", &Interface::gateway);
    shows("ipnetmask", "Its netmask.", &Interface::netmask);
    target->shows<std::string>("listen_address", "Address on which the service processor listens.",
                               [address = context.listen_address] { return address; });
    shows("macaddress", "Its hardware address.", &Interface::mac);
    shows("managementport", "The network interface that these facts are of.", &Interface::name);
    target->child(test_target(context));
    return target;
}

} // namespace lom
