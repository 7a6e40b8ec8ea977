// Redfish's query parameters: $select, $filter, $top, $skip, $expand. Hostile text in, sizes and
// depth limited. Internal: only .cpp files take it.
#pragma once

#include "base/result.h"
#include "web/json.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lom::web {

struct Expand {
    bool members = false; ///< what hangs below: `.` and `*`
    bool links = false;   ///< what stands under Links: `~` and `*`
    int levels = 1;
};

struct Query {
    std::optional<std::size_t> top;
    std::size_t skip = 0;
    std::vector<std::string> select;
    std::optional<Expand> expand;
    std::string filter;
    bool only = false;
};

/// A fault whose message is "NAME=VALUE" of what cannot be understood; kind not_found: not
/// implemented.
Result<Query> parse_query_options(const std::map<std::string, std::string>& query);

/// Leaves what is selected, and what every resource must have.
void apply_select(json::object& resource, const std::vector<std::string>& select);

/// A parsed $filter expression.
class Filter {
  public:
    static Result<Filter> parse(const std::string& text);
    bool matches(const json::object& resource) const;
    struct Node;

  private:
    std::shared_ptr<const Node> root_;
};

} // namespace lom::web
