#include "sp/manual.h"

#include "sp/control/views.h"

#include <map>

namespace lom {

namespace {

constexpr const char* head = R"(.\" Made from the declarations of the targets when OpenLOM is built.
.Dd November 21, 2026
.Dt OPENLOM-TARGETS 7
.Os OpenLOM
.Sh NAME
.Nm openlom-targets
.Nd what there is to manage through an OpenLOM service processor
.Sh DESCRIPTION
Everything that
.Xr lomd 8
manages is a target in one tree, and every door shows the same tree:
.Xr lom 1 ,
SSH and the rest.
A target has properties, which
.Ic show
shows and
.Ic set
sets, and verbs such as
.Ic start .
Names are matched whatever their case.
.Pp
Who may set a property or use a verb needs one of the roles named with it:
.Sy a
(administration),
.Sy u
(user management),
.Sy c
(console),
.Sy r
(reset and host control),
.Sy o
(read only),
.Sy s
(service).
.Pp
Targets that come and go, such as accounts, sessions and disks, are shown as a new service
processor has them.
.Sh TARGETS
)";

constexpr const char* tail = R"(.Sh SEE ALSO
.Xr lom 1 ,
.Xr lomd 8
)";

/// Running text, each sentence on a line of its own; neither a backslash nor a leading dot is
/// roff's.
std::string text_line(const std::string& text) {
    std::string lines;
    bool begins = true;
    for (const char c : text) {
        const bool ends = (c == ' ' || c == '\n') && !lines.empty() && lines.back() == '.';
        if (begins && (c == '.' || c == '\''))
            lines += "\\&";
        if (c == '\\')
            lines += "\\e";
        else
            lines += ends ? '\n' : c == '\n' ? ' ' : c;
        begins = ends;
    }
    return lines + "\n";
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words)
        text += (text.empty() ? "" : ", ") + word;
    return text;
}

std::string access_of(const control::PropertyDescription& property, bool to_create) {
    if (to_create)
        return property.required ? "required" : "";
    std::string access = property.write_role.empty() ? "read only" : "role " + property.write_role;
    if (property.secret)
        access += "; shown as *****";
    else if (!property.readable)
        access += "; cannot be shown";
    return access;
}

std::string property_entry(const control::PropertyDescription& property, bool to_create) {
    std::string facts = property.type;
    if (!property.values.empty())
        facts += " of " + joined(property.values);
    const std::string access = access_of(property, to_create);
    return ".It Va " + property.name + "\n" + text_line(property.doc) + ".br\n" +
           text_line(facts + (access.empty() ? "" : "; " + access));
}

std::string property_list(const std::vector<control::PropertyDescription>& properties,
                          bool to_create) {
    if (properties.empty())
        return "";
    std::string list = ".Bl -tag -width Ds\n";
    for (const auto& property : properties)
        list += property_entry(property, to_create);
    return list + ".El\n";
}

std::string verb_entry(const control::VerbDescription& verb) {
    std::string entry = ".It Ic " + verb.name + "\n" + text_line(verb.doc);
    if (!verb.role.empty())
        entry += ".br\n" + text_line("role " + verb.role);
    if (!verb.properties.empty())
        entry += "It takes:\n" + property_list(verb.properties, true);
    return entry;
}

class Walk {
  public:
    explicit Walk(const Tree& tree) : tree_(tree) {}

    std::string page(const std::string& path) {
        const auto found = tree_.find(path);
        const auto described = control::describe_target(tree_, path);
        if (!found || !described)
            return "";
        std::string text = ".Ss " + found->path + "\n";
        const auto [first, fresh] = seen_.emplace(found->target, found->path);
        if (!fresh)
            return text + "Another name of\n.Pa " + first->second + " .\n";
        text += text_line(described->doc) + property_list(described->properties, false);
        if (!described->verbs.empty()) {
            text += ".Pp\nVerbs:\n.Bl -tag -width Ds\n";
            for (const auto& verb : described->verbs)
                text += verb_entry(verb);
            text += ".El\n";
        }
        for (const auto& child : described->targets)
            text += page((found->path == "/" ? "" : found->path) + "/" + child.first);
        return text;
    }

  private:
    const Tree& tree_;
    std::map<Target::Ptr, std::string> seen_; ///< kept alive: an address must not come again
};

} // namespace

std::string targets_manual(const Tree& tree) { return head + Walk(tree).page("/") + tail; }

} // namespace lom
