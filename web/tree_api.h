// The whole target tree as JSON, for what Redfish has no word for (Oem/OpenLOM/Tree): the same
// show, set and verbs as in the shell. Loop thread only.
#pragma once

#include "web/http.h"
#include "web/sessions.h"
#include "web/task.h"

#include <memory>
#include <string_view>

namespace lom::web {

constexpr std::string_view tree_root = "/redfish/v1/Oem/OpenLOM/Tree";

/// `request.path` is at or below tree_root.
Task<Response> answer_tree(const Request& request, std::shared_ptr<WebSession> session);

} // namespace lom::web
