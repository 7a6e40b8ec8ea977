// The language in which Redfish's resources are declared: a resource is a URI pattern, a schema,
// the targets of the tree that it shows, and fields that map a Redfish property to a property of
// the tree. GET, PATCH, ETag, Allow, $select, $expand and the checks of actions all come from the
// declaration; role checks and audit come from lomd. Internal: only .cpp files of this room take
// it.
#pragma once

#include "sp/control/messages.h"
#include "web/json.h"
#include "web/redfish/messages.h"
#include "web/sessions.h"
#include "web/task.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lom::web {

class Tasks;
class EventHub;

/// What all answers may need.
struct Services {
    Loop& loop;
    WebSessions& sessions;
    Tasks& tasks;
    EventHub& events;
};

/// What a declaration's functions see of one request.
struct Scope {
    std::string uri;                                  ///< of the resource, without a trailing slash
    std::vector<std::string> ids;                     ///< what stands for each {} of the pattern
    std::map<std::string, control::TargetView> views; ///< by the path as declared, {} filled in
    WebSessions::Ptr session;
    std::string source; ///< the client's address
    json::object body;  ///< of a PATCH, for fields that depend on each other
    Services* services = nullptr;

    const control::TargetView* view(const std::string& target) const;
    bool has(const std::string& target, const std::string& property) const;
    /// As the shell prints it, but empty instead of (none).
    std::string text(const std::string& target, const std::string& property) const;
    json::value value(const std::string& target, const std::string& property) const;
    std::int64_t number(const std::string& target, const std::string& property) const;
};

/// Pairs of Redfish's word and the tree's.
using Words = std::vector<std::pair<std::string, std::string>>;

struct Field {
    using Read = std::function<std::optional<json::value>(const Scope&)>;
    /// The text that `set` takes, or why not.
    using Convert = std::function<Result<std::string>(const json::value&)>;
    using Write = std::function<Task<Result<void>>(Scope&, json::value)>;

    std::string at; ///< "Boot/BootSourceOverrideTarget"
    Read read;
    std::string target; ///< written to; empty: read-only unless `write`
    std::string property;
    Convert convert;
    Write write; ///< instead of target, for what is more than one property
    std::vector<std::string> allowed;
    json::kind kind = json::kind::string;
    bool changes_often = false; ///< not part of the ETag
    bool writable() const { return !target.empty() || write; }
};

struct Parameter {
    std::string name;
    json::kind kind = json::kind::string;
    bool required = false;
    std::vector<std::string> allowed = {};
};

struct Action {
    using Run = std::function<Task<Response>(Scope&, json::object)>;
    std::string name; ///< "ComputerSystem.Reset"
    std::vector<Parameter> parameters;
    Run run;
    bool is_described() const { return !parameters.empty(); } ///< by an ActionInfo of its own
    /// "ResetActionInfo", below the resource.
    std::string info_name() const { return name.substr(name.rfind('.') + 1) + "ActionInfo"; }
};

class Resource {
  public:
    using Links = std::function<std::vector<std::string>(const Scope&)>;
    using Create = std::function<Task<Response>(Scope&, json::object)>;
    using Delete = std::function<Task<Response>(Scope&)>;

    /// `type` is "Manager.v1_20_0.Manager"; a collection's has no version.
    Resource(std::string pattern, std::string type)
        : pattern_(std::move(pattern)), type_(std::move(type)) {}

    // -- declaring; `{0}` in a target stands for the first {} of the pattern

    /// Shown at each GET; not found: the resource is not there either.
    Resource& shows(std::string target, int depth = 1);
    /// A target that may be absent.
    Resource& may_show(std::string target, int depth = 1);
    Resource& constant(std::string at, json::value value);
    Resource& link(std::string at, std::string uri); ///< uri may have {0}
    Resource& computed(std::string at, Field::Read read);
    Resource& changing(std::string at, Field::Read read);
    /// The same text, writable as the tree has it.
    Resource& text(std::string at, std::string target, std::string property, bool writable = false);
    Resource& number(std::string at, std::string target, std::string property,
                     bool writable = false);
    Resource& words(std::string at, std::string target, std::string property, Words words,
                    bool writable = false);
    Resource& field(Field field);
    Resource& action(Action action);
    Resource& members(Links links);
    /// Members given whole instead of by their links (log entries), one page at a time.
    Resource& inline_members(std::function<std::vector<json::object>(const Scope&)> members);
    Resource& creates(Create create);
    Resource& deletes(Delete remove);
    Resource& open_to_all();
    /// The whole body, instead of fields.
    Resource& body(std::function<json::object(const Scope&)> body);

    // -- reading the declaration

    const std::string& pattern() const { return pattern_; }
    const std::string& type() const { return type_; }
    const std::vector<Action>& actions() const { return actions_; }
    bool is_collection() const { return links_ || inline_members_; }
    std::string allow() const;
    bool can_patch() const;
    bool match(const std::string& uri, std::vector<std::string>& ids) const;

  private:
    friend class Answerer;
    struct Shown {
        std::string target;
        int depth;
        bool optional;
    };
    std::string pattern_;
    std::string type_;
    std::vector<Shown> shown_;
    std::vector<Field> fields_;
    std::vector<Action> actions_;
    Links links_;
    std::function<std::vector<json::object>(const Scope&)> inline_members_;
    Create create_;
    Delete remove_;
    bool open_ = false;
    std::function<json::object(const Scope&)> body_;
};

/// `{0}`, `{1}` replaced by the request's ids.
std::string filled_in(const std::string& text, const std::vector<std::string>& ids);
json::object link_to(const std::string& uri);
Response no_content();
/// The text after the last slash.
std::string last_part(const std::string& path);
/// "2026-11-21T05:10:00+00:00" of the shell's "Sat Nov 21 05:10:00 2026"; empty: not understood.
std::string iso_time(const std::string& clock_text);
std::string iso_now();

/// A set in the tree, told in Redfish's words.
Task<Result<void>> set_in_tree(Scope& scope, std::string target, std::string property,
                               std::string text);
Task<Result<void>> run_in_tree(Scope& scope, std::string target, std::string verb, bool force);

// -- the declarations, one function per file's theme
void declare_root(std::vector<Resource>& all);
void declare_accounts(std::vector<Resource>& all);
void declare_managers(std::vector<Resource>& all);
void declare_media(std::vector<Resource>& all);
void declare_systems(std::vector<Resource>& all);
void declare_chassis(std::vector<Resource>& all);
void declare_logs(std::vector<Resource>& all);
void declare_services(std::vector<Resource>& all);
void declare_action_infos(std::vector<Resource>& all); ///< after all that have actions
void declare_schemas(std::vector<Resource>& all);      ///< last: lists the others' schemas

} // namespace lom::web
