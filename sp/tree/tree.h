// The tree as every door uses it: finding targets, and the one way through which anything is
// changed, with its role check and its audit record. Loop thread only.
#pragma once

#include "sp/tree/target.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lom {

struct Found {
    Target::Ptr target;
    Target::Ptr parent;
    std::string path; ///< canonical, as walked
};

/// One change or attempt, for the audit log; secrets are already masked.
struct AuditRecord {
    Caller caller;
    std::string deed; ///< "set /HOST/bootmode script='setenv auto-boot? false'"
    bool done = false;
    std::string reason; ///< of a refusal or failure
    // -- where it happened, for those who follow changes
    std::string target;   ///< canonical path
    std::string property; ///< of a set; empty: a verb
    std::string text;     ///< of a set: the new value as shown
};

/// How a property's value stands in `show`: (none), *****, (Cannot show property), or the text.
std::string display_text(const Property& property);
std::string display_text(const Property& property, const Value& value); ///< of a readable one
/// A role that the caller needs one of, checked; the fault names it.
Result<void> require_role(const Caller& caller, Roles needed);

class Tree {
  public:
    using Audit = std::function<void(const AuditRecord&)>;

    Tree(Target::Ptr root, Audit audit) : root_(std::move(root)), audit_(std::move(audit)) {}

    /// Absolute paths; names match case-insensitively; trailing slashes, `.` and `..` allowed.
    Result<Found> find(std::string_view path) const;
    const Target::Ptr& root() const { return root_; }

    struct SetAnswer {
        std::string property; ///< canonical name
        std::string text;     ///< the value as printed, ***** for secrets
        std::string message;
        bool failed = false;
    };
    using SetDone = std::function<void(Result<SetAnswer>)>;
    void set(const Caller& caller, std::string_view path, std::string_view property,
             std::string_view text, SetDone done) const;

    /// start, stop, reset, create, delete. `texts` are create's properties as typed.
    void run(VerbCall call, std::string_view path, std::string_view verb,
             const std::vector<std::pair<std::string, std::string>>& texts, Verb::Done done) const;

  private:
    Target::Ptr root_;
    Audit audit_;
};

} // namespace lom
