// A small tree and a scripted person, for tests of the command language.
#pragma once

#include "shell/grammar.h"
#include "shell/interpreter.h"
#include "shell/text.h"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace lom::shell::testing {

struct FakeTarget {
    std::string doc;
    std::vector<std::pair<std::string, std::string>> values; ///< as shown
    std::vector<control::PropertyDescription> properties;
    std::vector<control::VerbDescription> verbs;
    std::optional<std::string> text;
    std::optional<control::Table> table;
};

class FakeTree final : public Tree {
  public:
    FakeTree() {
        hello_.product = "OpenLOM";
        hello_.version = "0.1.0 r42";
        const auto verb = [](const std::string& name, const std::string& path) {
            return control::VerbDescription{
                name,
                "Does " + name + ".",
                "r",
                "Are you sure you want to " + name + " " + path,
                name == "stop" ? "Are you sure you want to immediately stop /SYS" : "",
                {}};
        };
        at("/").doc = "The service processor and its hosts.";
        at("/SP").doc = "The service processor.";
        at("/SP/users").doc = "Accounts.";
        control::VerbDescription create{"create", "Makes an account.", "u", "", "", {}};
        create.properties = {described("role", "What it may do.", {}, "u"),
                             described("password", "Its password.", {}, "u", true)};
        create.properties[1].required = true;
        at("/SP/users").verbs = {create};
        at("/SP/users/root").doc = "An account.";
        add("/SP/users/root", described("role", "What it may do.", {}, "u"), "aucro");
        add("/SP/users/root", described("password", "Its password.", {}, "u", true), "*****");
        at("/SP/users/root").verbs = {verb("delete", "/SP/users/root")};
        at("/SP/diag").doc = "Diagnosis.";
        at("/SP/diag/snapshot").doc = "Collects data.";
        auto dataset = described("dataset", "How much.", {"normal", "full", "fruid"}, "a");
        dataset.value_docs = {"What is asked for most.", "Everything; may reset the host.",
                              "Part numbers only."};
        add("/SP/diag/snapshot", dataset, "normal");
        auto uri = described("dump_uri", "Where to.", {}, "a");
        uri.question = "Collecting may reset the host. Are you sure";
        add("/SP/diag/snapshot", uri, "(Cannot show property)");
        add("/SP/diag/snapshot", described("encrypt_output", "Encrypted.", {}, "a"), "false");
        add("/SP/diag/snapshot", described("result", "Progress.", {}, ""),
            "Collecting data into sftp://root@10.30.94.12/x.zip\nSnapshot Complete.\nDone.");
        at("/SP/network").doc = "The network.";
        add("/SP/network", described("ipaddress", "Active address.", {}, ""), "10.0.0.7");
        at("/SP/network/test").doc = "Reachability.";
        add("/SP/network/test", described("ping", "Pings.", {}, "a"), "(Cannot show property)");
        at("/SP/console").doc = "The host's serial console.";
        at("/SP/console").verbs = {verb("start", "/SP/console"), verb("stop", "/SP/console")};
        at("/SYS").doc = "The machine.";
        add("/SYS", described("product_name", "Its name.", {}, ""), "SPARC-Enterprise-T5120");
        add("/SYS", described("power_state", "On or Off.", {}, ""), "Off");
        at("/SYS").verbs = {verb("reset", "/SYS"), verb("start", "/SYS"), verb("stop", "/SYS")};
        at("/SYS/MB").doc = "Board.";
        add("/SYS/MB", described("type", "Kind.", {}, ""), "Motherboard");
        at("/SYS/MB/CPU0").doc = "A processor.";
        add("/SYS/MB/CPU0", described("type", "Kind.", {}, ""), "Host Processor");
        add("/SYS/MB/CPU0", described("fault_state", "Health.", {}, ""), "OK");
        at("/SP/logs").doc = "Logs.";
        at("/SP/logs/event").table = control::Table{
            "Event",
            {"ID", "Date/Time", "Class", "Type", "Severity", "Description"},
            {5, 24, 8, 8, 8, 0},
            {{"42", "Fri Oct 31 10:35:10 2025", "Sensor", "Log", "minor", "Fan slow"},
             {"41", "Fri Oct 31 10:35:09 2025", "Fault", "Log", "critical", "Fan gone"}}};
        at("/HOST").doc = "The host.";
        at("/HOST/console").doc = "Console.";
        at("/HOST/console/history").text = "login: \n";
    }

    const control::Hello& hello() const override { return hello_; }

    Result<control::TargetView> show(const std::string& typed, int levels) override {
        const auto path = find(typed);
        if (!path)
            return invalid(typed);
        auto view = expand(*path, levels);
        view.text = targets_[*path].text;
        view.table = targets_[*path].table;
        return view;
    }

    Result<control::TargetDescription> describe(const std::string& typed) override {
        const auto path = find(typed);
        if (!path)
            return invalid(typed);
        const FakeTarget& target = targets_[*path];
        control::TargetDescription description{
            *path, target.doc, target.properties, target.verbs, {}};
        for (const std::string& child : children(*path))
            description.targets.emplace_back(last_name(child), targets_[child].doc);
        return description;
    }

    Result<control::SetReply> set(const std::string& typed, const std::string& property,
                                  const std::string& value) override {
        log.push_back("set " + typed + " " + property + "=" + value);
        if (fault)
            return *fault;
        const auto path = find(typed);
        for (const auto& known : targets_[*path].properties) {
            if (known.name != property)
                continue;
            if (known.name == "ping")
                return control::SetReply{property, value, "Ping of " + value + " succeeded"};
            return control::SetReply{property, known.secret ? "*****" : value, ""};
        }
        return Fault{FaultKind::not_found, "No matching properties found: '" + property + "'."};
    }

    Result<control::RunReply> run(const control::RunRequest& request) override {
        std::string entry = request.verb + (request.force ? " -force " : " ") + request.target;
        for (const auto& [name, value] : request.properties)
            entry += " " + name + "=" + value;
        log.push_back(entry);
        if (fault)
            return *fault;
        control::RunReply reply;
        if (request.may_wait && waits > 0) {
            --waits;
            reply.waits_for = "The image comes.";
            return reply;
        }
        if (request.target == "/SP/console" && request.verb == "start") {
            reply.stream = "console";
            reply.escape = "#.";
        } else {
            reply.message = "Did " + request.verb + " " + request.target;
        }
        return reply;
    }

    FakeTarget& at(const std::string& path) { return targets_[path]; }

    std::vector<std::string> log; ///< what was asked of the tree
    int waits = 0;                ///< so many times a patient run is to be asked again
    std::optional<Fault> fault;   ///< the answer to the next set and run

    static control::PropertyDescription described(const std::string& name, const std::string& doc,
                                                  std::vector<std::string> values,
                                                  const std::string& role, bool secret = false) {
        control::PropertyDescription description;
        description.name = name;
        description.doc = doc;
        description.values = std::move(values);
        description.write_role = role;
        description.secret = secret;
        return description;
    }

    void add(const std::string& path, control::PropertyDescription description,
             const std::string& value) {
        at(path).values.emplace_back(description.name, value);
        at(path).properties.push_back(std::move(description));
    }

  private:
    static Fault invalid(const std::string& path) {
        return {FaultKind::not_found, "Invalid target " + path};
    }

    std::optional<std::string> find(const std::string& typed) const {
        for (const auto& [path, target] : targets_)
            if (same_name(path, typed))
                return path;
        return std::nullopt;
    }

    std::vector<std::string> children(const std::string& parent) const {
        std::vector<std::string> result;
        for (const auto& [path, target] : targets_)
            if (path != "/" && parent_path(path) == parent)
                result.push_back(path);
        return result;
    }

    control::TargetView expand(const std::string& path, int levels) {
        control::TargetView view;
        view.path = path;
        view.name = last_name(path);
        view.expanded = levels > 0;
        if (!view.expanded)
            return view;
        for (const auto& [name, value] : targets_[path].values)
            view.properties.push_back({name, value, json_string(value)});
        for (const std::string& child : children(path))
            view.targets.push_back(expand(child, levels - 1));
        view.commands = {"cd", "show"};
        if (!targets_[path].properties.empty())
            view.commands.insert(view.commands.begin() + 1, "set");
        return view;
    }

    control::Hello hello_;
    std::map<std::string, FakeTarget> targets_;
};

class FakeTerminal final : public Terminal {
  public:
    void write(std::string_view text) override { output += text; }
    std::optional<std::string> ask(const std::string& question) override {
        output += question;
        if (answers.empty())
            return std::nullopt;
        std::string answer = answers.front();
        answers.pop_front();
        output += answer + "\n";
        return answer;
    }
    std::optional<std::string> ask_secret(const std::string& question) override {
        output += question + "\n";
        if (answers.empty())
            return std::nullopt;
        std::string answer = answers.front();
        answers.pop_front();
        return answer;
    }
    void allow_pauses(bool allowed) override { pauses = allowed; }
    bool rest(std::chrono::milliseconds) override { return ++rests != interrupted_at; }
    std::size_t width() const override { return columns; }
    std::size_t height() const override { return rows; }
    Result<void> run_console(Tree&, const control::RunRequest& request,
                             control::RunReply) override {
        output += "<console of " + request.target + (request.force ? " by force" : "") + ">\n";
        return {};
    }

    std::string output;
    std::deque<std::string> answers;
    std::size_t columns = 0;
    std::size_t rows = 0;
    int rests = 0;
    int interrupted_at = 0;
    bool pauses = true;
};

} // namespace lom::shell::testing
