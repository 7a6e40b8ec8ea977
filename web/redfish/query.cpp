#include "web/redfish/query.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace lom::web {

namespace {

constexpr std::size_t longest_filter = 1024;
constexpr int deepest_filter = 20;
constexpr int most_levels = 2; // of $expand, as advertised

Fault not_understood(const std::string& name, const std::string& value) {
    return {FaultKind::invalid_value, name + "=" + value};
}

bool parse_number(const std::string& text, std::size_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && number <= 1000000;
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (begin <= text.size()) {
        const std::size_t end = std::min(text.find(at, begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

std::optional<Expand> parse_expand(const std::string& text) {
    Expand expand;
    const std::size_t open = std::min(text.find('('), text.size());
    const std::string what = text.substr(0, open);
    expand.members = what == "." || what == "*";
    expand.links = what == "~" || what == "*";
    if (!expand.members && !expand.links)
        return std::nullopt;
    if (open < text.size()) {
        std::size_t levels = 0;
        constexpr std::string_view before = "($levels=";
        const std::string rest = text.substr(open);
        if (!rest.starts_with(before) || !rest.ends_with(")") ||
            !parse_number(rest.substr(before.size(), rest.size() - before.size() - 1), levels) ||
            levels < 1)
            return std::nullopt;
        expand.levels = std::min(static_cast<int>(levels), most_levels);
    }
    return expand;
}

/// The value at "Status/Health" in a resource.
const json::value* at_path(const json::object& resource, const std::string& path) {
    const json::object* here = &resource;
    const auto parts = split(path, '/');
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const json::value* value = here->if_contains(parts[i]);
        if (value == nullptr || i + 1 == parts.size())
            return value;
        here = value->if_object();
        if (here == nullptr)
            return nullptr;
    }
    return nullptr;
}

} // namespace

Result<Query> parse_query_options(const std::map<std::string, std::string>& query) {
    Query options;
    for (const auto& [name, value] : query) {
        if (name == "$top") {
            std::size_t number = 0;
            if (!parse_number(value, number))
                return not_understood(name, value);
            options.top = number;
        } else if (name == "$skip") {
            if (!parse_number(value, options.skip))
                return not_understood(name, value);
        } else if (name == "$select") {
            options.select = split(value, ',');
        } else if (name == "$expand") {
            options.expand = parse_expand(value);
            if (!options.expand)
                return not_understood(name, value);
        } else if (name == "$filter") {
            if (value.empty())
                return not_understood(name, value);
            options.filter = value;
        } else if (name == "only" || name == "excerpt") {
            if (!value.empty())
                return not_understood(name, value);
            options.only = options.only || name == "only";
        } else if (name.starts_with("$")) {
            return Fault{FaultKind::not_found, name + "=" + value};
        }
    }
    return options;
}

void apply_select(json::object& resource, const std::vector<std::string>& select) {
    json::object kept;
    for (const auto& [key, value] : resource) {
        const std::string name(key);
        if (name.starts_with("@odata.") || name == "Id" || name == "Name") {
            kept[name] = value;
            continue;
        }
        for (const std::string& wanted : select) {
            const std::string first = wanted.substr(0, wanted.find('/'));
            if (name != first && !name.starts_with(first + "@"))
                continue;
            const json::object* inner = value.if_object();
            if (first == wanted || inner == nullptr) {
                kept[name] = value;
                continue;
            }
            const std::string second = wanted.substr(first.size() + 1);
            if (const json::value* part = inner->if_contains(second)) {
                if (!kept.contains(name))
                    kept[name] = json::object{};
                kept[name].as_object()[second] = *part;
            }
        }
    }
    resource = std::move(kept);
}

// -- $filter: or over and over not over comparisons, as OData's grammar has it

struct Filter::Node {
    std::string op; ///< and, or, not, eq, ne, gt, ge, lt, le
    std::shared_ptr<Node> left;
    std::shared_ptr<Node> right;
    std::string path;
    json::value value;

    bool holds(const json::object& resource) const {
        if (op == "and")
            return left->holds(resource) && right->holds(resource);
        if (op == "or")
            return left->holds(resource) || right->holds(resource);
        if (op == "not")
            return !left->holds(resource);
        const json::value* found = at_path(resource, path);
        return compares(found == nullptr ? json::value() : *found);
    }

    bool compares(const json::value& found) const {
        if (found.is_string() && value.is_string())
            return fits(std::string_view(found.get_string()).compare(value.get_string()));
        boost::system::error_code error;
        boost::system::error_code other;
        const auto a = found.to_number<double>(error);
        const auto b = value.to_number<double>(other);
        if (!error && !other)
            return fits(a < b ? -1 : a > b ? 1 : 0);
        const bool same = found == value;
        return op == "eq" ? same : op == "ne" && !same;
    }

    bool fits(int order) const {
        return (op == "eq" && order == 0) || (op == "ne" && order != 0) ||
               (op == "gt" && order > 0) || (op == "ge" && order >= 0) ||
               (op == "lt" && order < 0) || (op == "le" && order <= 0);
    }
};

namespace {

using NodePtr = std::shared_ptr<Filter::Node>;

class FilterParser {
  public:
    explicit FilterParser(std::string_view text) : text_(text) {}

    NodePtr whole() {
        NodePtr node = either(0);
        skip_spaces();
        return at_ == text_.size() ? node : nullptr;
    }

  private:
    NodePtr either(int depth) {
        return chain(depth, "or",
                     [this](int d) { return chain(d, "and", [this](int e) { return one(e); }); });
    }

    template <typename Part>
    NodePtr chain(int depth, const std::string& word, const Part& part) {
        NodePtr left = part(depth);
        while (left && take_word(word)) {
            auto node = std::make_shared<Filter::Node>();
            node->op = word;
            node->left = left;
            node->right = part(depth);
            left = node->right ? node : nullptr;
        }
        return left;
    }

    NodePtr one(int depth) {
        if (depth > deepest_filter)
            return nullptr;
        if (take_word("not")) {
            auto node = std::make_shared<Filter::Node>();
            node->op = "not";
            node->left = one(depth + 1);
            return node->left ? node : nullptr;
        }
        skip_spaces();
        if (at_ < text_.size() && text_[at_] == '(') {
            ++at_;
            NodePtr inside = either(depth + 1);
            skip_spaces();
            if (!inside || at_ >= text_.size() || text_[at_++] != ')')
                return nullptr;
            return inside;
        }
        return comparison();
    }

    NodePtr comparison() {
        auto node = std::make_shared<Filter::Node>();
        node->path = word();
        node->op = word();
        if (node->path.empty() || (node->op != "eq" && node->op != "ne" && node->op != "gt" &&
                                   node->op != "ge" && node->op != "lt" && node->op != "le"))
            return nullptr;
        return literal(node->value) ? node : nullptr;
    }

    bool literal(json::value& value) {
        skip_spaces();
        if (at_ < text_.size() && text_[at_] == '\'') {
            std::string plain;
            for (++at_; at_ < text_.size(); ++at_) {
                if (text_[at_] == '\'') {
                    if (at_ + 1 >= text_.size() || text_[at_ + 1] != '\'') {
                        ++at_;
                        value = plain;
                        return true;
                    }
                    ++at_;
                }
                plain += text_[at_];
            }
            return false;
        }
        const std::string plain = word();
        boost::system::error_code error;
        value = json::parse(plain, error);
        return !plain.empty() && !error && !value.is_structured();
    }

    std::string word() {
        skip_spaces();
        const std::size_t begin = at_;
        while (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != ')' && text_[at_] != '(')
            ++at_;
        return std::string(text_.substr(begin, at_ - begin));
    }

    bool take_word(const std::string& wanted) {
        const std::size_t before = at_;
        if (word() == wanted)
            return true;
        at_ = before;
        return false;
    }

    void skip_spaces() {
        while (at_ < text_.size() && text_[at_] == ' ')
            ++at_;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

} // namespace

Result<Filter> Filter::parse(const std::string& text) {
    NodePtr root =
        text.size() > longest_filter ? nullptr : FilterParser(std::string_view(text)).whole();
    if (!root)
        return not_understood("$filter", text.substr(0, longest_filter));
    Filter filter;
    filter.root_ = std::move(root);
    return filter;
}

bool Filter::matches(const json::object& resource) const { return root_->holds(resource); }

} // namespace lom::web
