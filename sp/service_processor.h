// Everything lomd consists of, put together and taken apart in the right order. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "sp/service/managed_host.h"
#include "sp/tree/tree.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace lom {

struct ServiceOptions {
    Paths paths;
    std::string listen = "127.0.0.1";
    std::uint16_t ssh_port = 2222;
    std::uint16_t https_port = 8443;
    std::string initial_password_file;
    /// Prints a generated first password; called at most once in the life of a state folder.
    std::function<void(const std::string&)> announce_password;
    std::function<void()> restart; ///< `reset /SP`
};

class ServiceProcessor {
  public:
    /// Takes the state folder (one lomd each), adopts hosts, opens every door, then writes
    /// R/ports.json.
    static Result<std::unique_ptr<ServiceProcessor>> start(Loop& loop, ServiceOptions options);
    ~ServiceProcessor(); ///< hosts and images run on
    /// Ends what would wait for the next lomd, before a state folder is thrown away.
    void abandon();

    std::uint16_t ssh_port() const;
    std::uint16_t https_port() const; ///< 0: not listening
    const Tree& tree() const;

  private:
    struct Impl;
    explicit ServiceProcessor(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace lom
