// What an action takes, for clients that ask before they act: @Redfish.ActionInfo.
#include "web/redfish/resource.h"

namespace lom::web {

namespace {

json::object parameter_json(const Parameter& parameter) {
    json::object object{{"Name", parameter.name},
                        {"Required", parameter.required},
                        {"DataType", parameter.kind == json::kind::bool_ ? "Boolean" : "String"}};
    json::array allowed;
    for (const std::string& word : parameter.allowed)
        allowed.emplace_back(word);
    if (!allowed.empty())
        object["AllowableValues"] = std::move(allowed);
    return object;
}

Resource action_info(const std::string& owner, const Action& action) {
    Resource one(owner + "/" + action.info_name(), "ActionInfo.v1_4_2.ActionInfo");
    one.constant("Id", json::value(action.info_name()));
    one.constant("Name", json::value("Parameters of " + action.name));
    json::array parameters;
    for (const Parameter& parameter : action.parameters)
        parameters.push_back(parameter_json(parameter));
    one.constant("Parameters", std::move(parameters));
    return one;
}

} // namespace

void declare_action_infos(std::vector<Resource>& all) {
    std::vector<Resource> infos;
    for (const Resource& resource : all)
        for (const Action& action : resource.actions())
            if (action.is_described())
                infos.push_back(action_info(resource.pattern(), action));
    all.insert(all.end(), infos.begin(), infos.end());
}

} // namespace lom::web
