#include "web/redfish/messages.h"

#include <array>
#include <string_view>

namespace lom::web {

namespace {

constexpr std::string_view base_registry = "Base.1.22";
constexpr std::string_view own_registry = "OpenLOM.1.0";

struct Entry {
    std::string_view id;
    std::string_view text;
    std::string_view severity;
    std::string_view resolution;
    std::string_view registry = base_registry;
};

// Words of DMTF's Base message registry 1.22: clients know them by heart.
constexpr std::array entries{
    Entry{"Success", "The request completed successfully.", "OK", "None."},
    Entry{"Created", "The resource was created successfully.", "OK", "None."},
    Entry{"GeneralError",
          "A general error has occurred.  See Resolution for information on how to resolve the "
          "error, or @Message.ExtendedInfo if Resolution is not provided.",
          "Critical", "None."},
    Entry{"ResourceMissingAtURI", "The resource at the URI '%1' was not found.", "Critical",
          "Place a valid resource at the URI or correct the URI and resubmit the request."},
    Entry{"PropertyUnknown",
          "The property %1 is not in the list of valid properties for the resource.", "Warning",
          "Remove the unknown property from the request body and resubmit the request if the "
          "operation failed."},
    Entry{"PropertyNotWritable",
          "The property %1 is a read-only property and cannot be assigned a value.", "Warning",
          "Remove the property from the request body and resubmit the request if the operation "
          "failed."},
    Entry{"PropertyValueTypeError",
          "The value '%1' for the property %2 is not a type that the property can accept.",
          "Warning",
          "Correct the value for the property in the request body and resubmit the request if the "
          "operation failed."},
    Entry{"PropertyValueNotInList",
          "The value '%1' for the property %2 is not in the list of acceptable values.", "Warning",
          "Choose a value from the enumeration list that the implementation can support and "
          "resubmit the request if the operation failed."},
    Entry{"PropertyValueError", "The value provided for the property %1 is not valid.", "Warning",
          "Correct the value for the property in the request body and resubmit the request if the "
          "operation failed."},
    Entry{"PropertyMissing",
          "The property %1 is a required property and must be included in the request.", "Warning",
          "Ensure that the property is in the request body and has a valid value and resubmit the "
          "request if the operation failed."},
    Entry{"MalformedJSON",
          "The request body submitted was malformed JSON and could not be parsed by the receiving "
          "service.",
          "Critical", "Ensure that the request body is valid JSON and resubmit the request."},
    Entry{"ActionParameterMissing",
          "The action %1 requires the parameter %2 to be present in the request body.", "Critical",
          "Supply the action with the required parameter in the request body when the request is "
          "resubmitted."},
    Entry{"ActionParameterUnknown", "The action %1 was submitted with the invalid parameter %2.",
          "Warning",
          "Correct the invalid action parameter and resubmit the request if the operation "
          "failed."},
    Entry{"ActionParameterValueNotInList",
          "The value '%1' for the parameter %2 in the action %3 is not in the list of acceptable "
          "values.",
          "Warning",
          "Choose a value from the enumeration list that the implementation can support and "
          "resubmit the request if the operation failed."},
    Entry{"ActionParameterValueTypeError",
          "The value '%1' for the parameter %2 in the action %3 is not a type that the parameter "
          "can accept.",
          "Warning",
          "Correct the value for the parameter in the request body and resubmit the request if the "
          "operation failed."},
    Entry{"InsufficientPrivilege",
          "There are insufficient privileges for the account or credentials associated with the "
          "current session to perform the requested operation.",
          "Critical",
          "Either abandon the operation or change the associated access rights and resubmit the "
          "request if the operation failed."},
    Entry{"NoValidSession", "There is no valid session established with the implementation.",
          "Critical", "Establish a session before attempting any operations."},
    Entry{"OperationNotAllowed", "The HTTP method is not allowed on this resource.", "Critical",
          "None."},
    Entry{"PreconditionFailed",
          "The ETag supplied did not match the ETag required to change this resource.", "Critical",
          "Try the operation again using the appropriate ETag."},
    Entry{"PreconditionRequired",
          "A precondition header or annotation is required to change this resource.", "Critical",
          "Try the operation again using an If-Match or If-None-Match header and appropriate "
          "ETag."},
    Entry{"HeaderMissing", "Required header '%1' is missing in the request.", "Critical",
          "Resubmit the request with the required request header."},
    Entry{"HeaderInvalid", "Header '%1' is invalid.", "Critical",
          "Resubmit the request with a valid request header."},
    Entry{"QueryNotSupportedOnResource", "Querying is not supported on the requested resource.",
          "Warning",
          "Remove the query parameters and resubmit the request if the operation failed."},
    Entry{"QueryParameterValueFormatError",
          "The value '%1' for the parameter %2 is not a format that the parameter can accept.",
          "Warning",
          "Correct the value for the query parameter in the request and resubmit the request if "
          "the operation failed."},
    Entry{"QueryParameterOutOfRange",
          "The value '%1' for the query parameter %2 is out of range %3.", "Warning",
          "Reduce the value for the query parameter to a value that is within range, such as a "
          "start or count value that is within bounds of the number of resources in a collection "
          "or a page number that is within the range of valid pages."},
    Entry{"ResourceInUse",
          "The change to the requested resource failed because the resource is in use or in "
          "transition.",
          "Warning", "Remove the condition and resubmit the request if the operation failed."},
    Entry{"ServiceTemporarilyUnavailable",
          "The service is temporarily unavailable.  Retry in %1 seconds.", "Critical",
          "Wait for the indicated retry duration and retry the operation."},
    Entry{"InternalError",
          "The request failed due to an internal service error.  The service is still "
          "operational.",
          "Critical",
          "Resubmit the request.  If the problem persists, consider resetting the service."},
    Entry{"ResourceCannotBeDeleted",
          "The delete request failed because the resource requested cannot be deleted.", "Critical",
          "Do not attempt to delete a non-deletable resource."},
    Entry{"NoOperation",
          "The request body submitted contain no data to act upon and no changes to the resource "
          "took place.",
          "Warning",
          "Add properties in the JSON object and resubmit the request if the operation failed."},
    // lomd's own sentence, for clients that show a message and no resolution.
    Entry{"Refused", "%1", "Critical", "None.", own_registry},
};

std::string full_id(const Entry& entry) {
    return std::string(entry.registry) + "." + std::string(entry.id);
}

const Entry& entry_of(const std::string& id) {
    for (const Entry& entry : entries)
        if (entry.id == id)
            return entry;
    return entries[2];
}

std::string filled(std::string_view text, const std::vector<std::string>& arguments) {
    std::string whole;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const std::size_t number =
            text[i] == '%' && i + 1 < text.size() ? static_cast<std::size_t>(text[i + 1] - '1') : 9;
        if (number < arguments.size()) {
            whole += arguments[number];
            ++i;
        } else {
            whole += text[i];
        }
    }
    return whole;
}

} // namespace

json::object message_json(const Message& message) {
    const Entry& entry = entry_of(message.id);
    json::object object{{"@odata.type", "#Message.v1_2_0.Message"},
                        {"MessageId", full_id(entry)},
                        {"Message", filled(entry.text, message.arguments)},
                        {"MessageSeverity", entry.severity},
                        {"Severity", entry.severity},
                        {"Resolution", message.resolution.empty() ? std::string(entry.resolution)
                                                                  : message.resolution}};
    if (!message.arguments.empty()) {
        json::array arguments;
        for (const std::string& argument : message.arguments)
            arguments.emplace_back(argument);
        object["MessageArgs"] = std::move(arguments);
    }
    if (!message.property.empty())
        object["RelatedProperties"] = json::array{message.property};
    return object;
}

json::array messages_json(const std::vector<Message>& messages) {
    json::array info;
    for (const Message& message : messages)
        info.push_back(message_json(message));
    return info;
}

Response error_response(int status, const std::vector<Message>& messages) {
    json::array info = messages_json(messages);
    const Entry& first = entry_of(messages.size() == 1 ? messages[0].id : "GeneralError");
    std::string said = messages.size() == 1 ? std::string(info[0].at("Message").as_string())
                                            : std::string(first.text);
    return json_response(
        status, json::object{{"error", json::object{{"code", full_id(first)},
                                                    {"message", said},
                                                    {"@Message.ExtendedInfo", std::move(info)}}}});
}

Response error_response(int status, const Message& message) {
    return error_response(status, std::vector<Message>{message});
}

int status_of(FaultKind kind) {
    switch (kind) {
    case FaultKind::usage:
    case FaultKind::invalid_value:
        return 400;
    case FaultKind::not_found:
        return 404;
    case FaultKind::denied:
        return 403;
    case FaultKind::wrong_state:
    case FaultKind::busy:
        return 409;
    case FaultKind::unavailable:
        return 503;
    case FaultKind::internal:
        return 500;
    }
    return 500;
}

Message fault_message(const Fault& fault, const std::string& property) {
    const char* id = "Refused";
    switch (fault.kind) {
    case FaultKind::denied:
        id = "InsufficientPrivilege";
        break;
    case FaultKind::wrong_state:
    case FaultKind::busy:
        id = "ResourceInUse";
        break;
    case FaultKind::unavailable:
        id = "ServiceTemporarilyUnavailable";
        break;
    case FaultKind::internal:
        id = "InternalError";
        break;
    case FaultKind::invalid_value:
        id = property.empty() ? "Refused" : "PropertyValueError";
        break;
    case FaultKind::usage:
    case FaultKind::not_found:
        break;
    }
    Message message{id, {}, property.empty() ? "" : "#/" + property, fault.message};
    if (message.id == "Refused")
        message.arguments = {fault.message};
    if (fault.kind == FaultKind::unavailable)
        message.arguments = {"3"};
    if (fault.kind == FaultKind::invalid_value && !property.empty())
        message.arguments = {property};
    return message;
}

Response method_refused(const std::string& allow) {
    const Message message{"OperationNotAllowed", {}};
    return error_response(405, message).with("Allow", allow);
}

Response fault_response(const Fault& fault) {
    Response response = error_response(status_of(fault.kind), fault_message(fault, ""));
    if (fault.kind == FaultKind::unavailable)
        response.with("Retry-After", "3");
    return response;
}

} // namespace lom::web
