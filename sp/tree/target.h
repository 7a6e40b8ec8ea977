// Declaring what there is to manage. A target declares its properties and verbs once; show, set,
// completion, help, role checks, audit and JSON all come from the declaration. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "sp/tree/roles.h"
#include "sp/tree/settings.h"
#include "sp/tree/value.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lom {

/// Who asks: an authenticated account through some door.
struct Caller {
    std::string account;
    Roles roles;
    std::string source;  ///< "127.0.0.1" or "local"
    std::string session; ///< its id in /SP/sessions
};

struct SetOutcome {
    std::string message; ///< an action's own answer; empty: `Set 'p' to 'v'`
    bool failed = false; ///< the action was done, with a bad end (a ping that nobody answered)
};

struct Property {
    using Done = std::function<void(Result<SetOutcome>)>;

    std::string name;
    std::string doc;
    const Type* type = nullptr;
    Roles write;           ///< any of these may set it; empty: read-only
    bool readable = true;  ///< false: an action, `(Cannot show property)`
    bool secret = false;   ///< shown as *****, never in logs
    bool required = false; ///< for what `create` takes
    std::string question;  ///< asked before set, without " (y/n)? "
    std::function<Value()> get;
    std::function<void(const Caller&, Value, Done)> set;
    /// Callers who may set it without the role (one's own password).
    std::function<bool(const Caller&)> also_allowed;

    bool writable() const { return set != nullptr; }
};

struct VerbCall {
    Caller caller;
    bool force = false;
    std::vector<std::pair<std::string, Value>> properties; ///< of create, parsed and complete
    std::optional<std::uint64_t> console_offset;
    bool resumed = false;
    bool may_wait = false; ///< the door asks again when the answer is `waits_for`
    std::string new_name;  ///< of create: the last part of the path
};

struct VerbOutcome {
    std::string message;   ///< "Starting /SYS"
    std::string waits_for; ///< a sentence: nothing was done yet, and it is worth asking again
    std::string stream;
    std::string escape;
    UniqueFd fd;
};

struct Verb {
    using Done = std::function<void(Result<VerbOutcome>)>;

    std::string name;
    std::string doc;
    Roles role;
    bool asks = true; ///< "Are you sure you want to NAME PATH (y/n)? "
    std::function<void(VerbCall, const std::string& path, Done)> run;
    std::vector<Property> takes; ///< of create: name, doc, type, secret, required
    bool listed = true; ///< false: for doors, in no listing that people read
    /// Callers who may run it without the role (the keys of one's own account).
    std::function<bool(const Caller&)> also_allowed;
};

struct LogTable {
    std::string title;
    std::vector<std::string> columns;
    std::vector<std::size_t> widths; ///< in characters; 0: a line of its own below the row
    std::vector<std::vector<std::string>> rows;
};

class Target {
  public:
    using Ptr = std::shared_ptr<Target>;

    static Ptr make(std::string name, std::string doc) {
        return std::make_shared<Target>(std::move(name), std::move(doc));
    }
    Target(std::string name, std::string doc) : name_(std::move(name)), doc_(std::move(doc)) {}

    // -- declaring; each returns *this

    /// Read-only, computed at each show.
    template <typename T>
    Target& shows(std::string name, std::string doc, std::function<T()> get) {
        Property property{
            .name = std::move(name), .doc = std::move(doc), .type = &Codec<T>::type()};
        property.get = [get = std::move(get)] { return Codec<T>::wrap(get()); };
        return add(std::move(property));
    }

    template <typename T>
    struct Persistent {
        std::string name;
        std::string doc;
        Roles write;
        bool secret = false;
        std::string question;
        std::function<Result<void>(const T&)> check;
        std::function<void()> changed; ///< after the value is durable
    };
    /// A stored value, shown and set; `setting` outlives the target.
    template <typename T>
    Target& persistent(Setting<T>& setting, Persistent<T> spec) {
        Property property{.name = std::move(spec.name),
                          .doc = std::move(spec.doc),
                          .type = &Codec<T>::type(),
                          .write = spec.write,
                          .secret = spec.secret,
                          .question = std::move(spec.question)};
        property.get = [&setting] { return Codec<T>::wrap(*setting); };
        property.set = [&setting, check = std::move(spec.check), changed = std::move(spec.changed)](
                           const Caller&, Value value, Property::Done done) {
            T typed = Codec<T>::unwrap(value);
            if (check)
                if (const auto fine = check(typed); !fine)
                    return done(fine.fault());
            if (const auto stored = setting.set(std::move(typed)); !stored)
                return done(stored.fault());
            if (changed)
                changed();
            done(SetOutcome{});
        };
        return add(std::move(property));
    }

    template <typename T>
    struct Managed {
        std::string name;
        std::string doc;
        Roles write;
        bool secret = false;
        bool required = false;
        std::string question;
        std::function<T()> get; ///< absent: an action, which cannot be shown
        std::function<void(const Caller&, T, Property::Done)> set;
        std::function<bool(const Caller&)> also_allowed;
    };
    /// A property whose owner reads and sets it in its own way, at once or later.
    template <typename T>
    Target& managed(Managed<T> spec) {
        return add(property_of<T>(std::move(spec)));
    }
    template <typename T>
    static Property property_of(Managed<T> spec) {
        Property property{.name = std::move(spec.name),
                          .doc = std::move(spec.doc),
                          .type = &Codec<T>::type(),
                          .write = spec.write,
                          .readable = spec.get != nullptr,
                          .secret = spec.secret,
                          .required = spec.required,
                          .question = std::move(spec.question)};
        if (spec.get)
            property.get = [get = std::move(spec.get)] { return Codec<T>::wrap(get()); };
        if (spec.set)
            property.set = [set = std::move(spec.set)](const Caller& caller, Value value,
                                                       Property::Done done) {
                set(caller, Codec<T>::unwrap(value), std::move(done));
            };
        property.also_allowed = std::move(spec.also_allowed);
        return property;
    }

    Target& add(Property property);
    Target& verb(Verb verb);
    Target& child(Ptr target);
    /// The same target under another name (/SP/console is /HOST/console).
    Target& link(std::string name, Ptr target);
    /// Children that come and go; asked at each walk.
    Target& dynamic_children(std::function<std::vector<Ptr>()> children);
    /// What its parent's list says behind the name, in parentheses; empty: nothing.
    using Note = std::function<std::string(const Caller&)>;
    Target& note(Note note);
    /// Shown instead of the sections.
    Target& table(std::function<LogTable()> table);
    /// `page_lines`: after how many lines the output waits; 0: never, absent: a screenful.
    Target& text(std::function<Result<std::string>()> text,
                 std::function<std::int64_t()> page_lines = nullptr);
    /// Brings what the target shows up to date before it is shown (not in a walk over all targets);
    /// `ready` comes once, soon.
    using Refresh = std::function<void(std::function<void()> ready)>;
    Target& refresh(Refresh refresh);

    // -- reading the declaration

    const std::string& name() const { return name_; }
    const std::string& doc() const { return doc_; }
    const std::vector<Property>& properties() const { return properties_; }
    const std::vector<Verb>& verbs() const { return verbs_; }
    const Property* find_property(std::string_view name) const;
    const Verb* find_verb(std::string_view name) const;
    std::vector<std::pair<std::string, Ptr>> children() const;
    const Note& note() const { return note_; }
    const std::function<LogTable()>& table() const { return table_; }
    const std::function<Result<std::string>()>& text() const { return text_; }
    const std::function<std::int64_t()>& page_lines() const { return page_lines_; }
    const Refresh& refresh() const { return refresh_; }
    /// What `Commands:` lists, alphabetical.
    std::vector<std::string> commands() const;

  private:
    std::string name_;
    std::string doc_;
    std::vector<Property> properties_;
    std::vector<Verb> verbs_;
    std::vector<std::pair<std::string, Ptr>> children_;
    std::function<std::vector<Ptr>()> dynamic_;
    Note note_;
    std::function<LogTable()> table_;
    std::function<Result<std::string>()> text_;
    std::function<std::int64_t()> page_lines_;
    Refresh refresh_;
};

} // namespace lom
