// Redfish's own words for what went wrong: messages of DMTF's Base registry, and errors made of
// them. Internal: only .cpp files take it.
#pragma once

#include "base/result.h"
#include "web/json.h"

#include <string>
#include <vector>

namespace lom::web {

/// One message: `id` of the Base registry, its arguments, the property that it is about.
struct Message {
    std::string id;
    std::vector<std::string> arguments;
    std::string property = {};   ///< JSON pointer "#/Boot/BootSourceOverrideTarget"; empty: none
    std::string resolution = {}; ///< instead of the registry's, where we know better
};

json::object message_json(const Message& message);
json::array messages_json(const std::vector<Message>& messages);
/// The error object with @Message.ExtendedInfo, OData-Version and all.
Response error_response(int status, const std::vector<Message>& messages);
Response error_response(int status, const Message& message);
/// 405, with the methods that are allowed.
Response method_refused(const std::string& allow);
/// lomd's refusal: its sentence, with the status that its kind means.
Response fault_response(const Fault& fault);
Message fault_message(const Fault& fault, const std::string& property);
int status_of(FaultKind kind);

} // namespace lom::web
