// Accounts, roles, privileges: /SP/users in Redfish's words.
#include "web/redfish/resource.h"

#include <set>

namespace lom::web {

namespace {

const std::string service_uri = "/redfish/v1/AccountService";
const std::string accounts_uri = service_uri + "/Accounts";
const std::string roles_uri = service_uri + "/Roles";
const std::string users = "/SP/users";
const std::string custom = "OpenLOM-"; // a role of any other letters: OpenLOM-cr

struct Predefined {
    const char* id;
    const char* letters;
    std::vector<const char*> privileges;
};

const std::vector<Predefined>& predefined() {
    static const std::vector<Predefined> roles{
        {"Administrator",
         "aucro",
         {"Login", "ConfigureManager", "ConfigureUsers", "ConfigureSelf", "ConfigureComponents"}},
        {"Operator", "cro", {"Login", "ConfigureSelf", "ConfigureComponents"}},
        {"ReadOnly", "o", {"Login", "ConfigureSelf"}}};
    return roles;
}

std::string role_id(const std::string& letters) {
    for (const Predefined& role : predefined())
        if (letters == role.letters)
            return role.id;
    return custom + letters;
}

/// The letters of a role's id; empty: there is no such role.
std::string letters_of(const std::string& id) {
    for (const Predefined& role : predefined())
        if (id == role.id)
            return role.letters;
    if (!id.starts_with(custom) || id.size() == custom.size() ||
        id.find_first_not_of("aucros", custom.size()) != std::string::npos)
        return "";
    return id.substr(custom.size());
}

json::array privileges_of(const std::string& letters) {
    for (const Predefined& role : predefined())
        if (letters == role.letters) {
            json::array array;
            for (const char* privilege : role.privileges)
                array.emplace_back(privilege);
            return array;
        }
    json::array array{"Login", "ConfigureSelf"};
    const auto add = [&](char letter, const char* privilege) {
        if (letters.find(letter) != std::string::npos)
            array.emplace_back(privilege);
    };
    add('a', "ConfigureManager");
    add('u', "ConfigureUsers");
    add('r', "ConfigureComponents");
    return array;
}

Result<std::string> letters_from(const json::value& value) {
    const std::string letters = letters_of(std::string(value.get_string()));
    if (letters.empty())
        return Fault{FaultKind::invalid_value,
                     "A role is Administrator, Operator, ReadOnly or OpenLOM- with letters of "
                     "aucros."};
    return letters;
}

Resource account_service() {
    Resource service(service_uri, "AccountService.v1_15_0.AccountService");
    service.constant("Id", "AccountService").constant("Name", "Account service");
    service.constant("Status", json::object{{"State", "Enabled"}, {"Health", "OK"}});
    service.constant("ServiceEnabled", true).constant("LocalAccountAuth", "Enabled");
    service.constant("MinPasswordLength", 8).constant("MaxPasswordLength", 256);
    service.constant("SupportedAccountTypes", json::array{"Redfish", "WebUI", "ManagerConsole"});
    service.constant("HTTPBasicAuth", "Enabled");
    service.link("Accounts", accounts_uri).link("Roles", roles_uri);
    service.link("PrivilegeMap", service_uri + "/PrivilegeMap");
    return service;
}

Task<Response> create_account(Scope& scope, json::object body) {
    std::vector<Message> wrong;
    for (const char* name : {"UserName", "Password", "RoleId"}) {
        const json::value* value = body.if_contains(name);
        if (value == nullptr)
            wrong.push_back({"PropertyMissing", {name}, std::string("#/") + name});
        else if (!value->is_string())
            wrong.push_back({"PropertyValueTypeError",
                             {json::serialize(*value), name},
                             std::string("#/") + name});
    }
    const std::string letters = wrong.empty() ? letters_of(fields::text(body, "RoleId")) : "";
    if (wrong.empty() && letters.empty())
        wrong.push_back(
            {"PropertyValueNotInList", {fields::text(body, "RoleId"), "RoleId"}, "#/RoleId"});
    const std::string name = fields::text(body, "UserName");
    if (wrong.empty() && (name.empty() || name.find('/') != std::string::npos))
        wrong.push_back({"PropertyValueError", {"UserName"}, "#/UserName"});
    if (!wrong.empty())
        co_return error_response(400, wrong);
    control::RunRequest request;
    request.target = users + "/" + name;
    request.verb = "create";
    request.properties = {{"password", fields::text(body, "Password")}, {"role", letters}};
    const auto created = co_await scope.session->run(std::move(request));
    if (!created)
        co_return fault_response(created.fault());
    const std::string uri = accounts_uri + "/" + name;
    Response response = json_response(
        201, json::object{{"@odata.id", uri},
                          {"@odata.type", "#ManagerAccount.v1_12_0.ManagerAccount"},
                          {"Id", name},
                          {"Name", "Account " + name},
                          {"UserName", name},
                          {"Password", nullptr},
                          {"AccountTypes", json::array{"Redfish", "WebUI", "ManagerConsole"}},
                          {"RoleId", role_id(letters)}});
    co_return std::move(response.with("Location", uri));
}

Resource accounts() {
    Resource collection(accounts_uri, "ManagerAccountCollection.ManagerAccountCollection");
    collection.shows(users).constant("Name", "Accounts");
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& user : scope.view(users)->targets)
            uris.push_back(accounts_uri + "/" + user.name);
        return uris;
    });
    collection.creates(create_account);
    return collection;
}

Resource account() {
    const std::string target = users + "/{0}";
    Resource one(accounts_uri + "/{}", "ManagerAccount.v1_12_0.ManagerAccount");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) { return json::value("Account " + scope.ids[0]); });
    one.computed("UserName", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.constant("Enabled", true);
    one.constant("AccountTypes", json::array{"Redfish", "WebUI", "ManagerConsole"});
    one.field({.at = "Password",
               .read = [](const Scope&) { return json::value(nullptr); },
               .target = target,
               .property = "password",
               .convert = [](const json::value& value) -> Result<std::string> {
                   return std::string(value.get_string());
               }});
    one.field({.at = "RoleId",
               .read =
                   [target](const Scope& scope) {
                       return json::value(role_id(scope.text(target, "role")));
                   },
               .target = target,
               .property = "role",
               .convert = letters_from});
    one.field({.at = "Locked",
               .read =
                   [target](const Scope& scope) {
                       return json::value(scope.text(target, "locked") == "true");
                   },
               .target = target,
               .property = "locked",
               .convert = [](const json::value& value) -> Result<std::string> {
                   return std::string(value.get_bool() ? "true" : "false");
               },
               .kind = json::kind::bool_});
    one.computed("Links/Role", [target](const Scope& scope) {
        return json::value(link_to(roles_uri + "/" + role_id(scope.text(target, "role"))));
    });
    one.deletes([](Scope& scope) -> Task<Response> {
        const auto done = co_await run_in_tree(scope, users + "/{0}", "delete", false);
        co_return done ? no_content() : fault_response(done.fault());
    });
    return one;
}

/// The three that everybody knows, and those that accounts have.
Resource roles() {
    Resource collection(roles_uri, "RoleCollection.RoleCollection");
    collection.shows(users, 2).constant("Name", "Roles");
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        std::set<std::string> ids;
        for (const Predefined& role : predefined())
            uris.push_back(roles_uri + "/" + role.id);
        for (const control::TargetView& user : scope.view(users)->targets)
            for (const control::PropertyView& property : user.properties)
                if (property.name == "role")
                    ids.insert(role_id(property.text));
        for (const std::string& id : ids)
            if (id.starts_with(custom))
                uris.push_back(roles_uri + "/" + id);
        return uris;
    });
    return collection;
}

Resource role() {
    Resource one(roles_uri + "/{}", "Role.v1_3_1.Role");
    one.body([](const Scope& scope) -> json::object {
        const std::string& id = scope.ids[0];
        const std::string letters = letters_of(id);
        if (letters.empty())
            return {};
        return {{"Id", id},
                {"Name", "Role " + id},
                {"RoleId", id},
                {"Description", "Role letters " + letters},
                {"IsPredefined", !id.starts_with(custom)},
                {"AssignedPrivileges", privileges_of(letters)}};
    });
    return one;
}

json::object mapping(const char* entity, const char* reads, const char* changes) {
    const auto needs = [](const char* privilege) {
        return json::array{json::object{{"Privilege", json::array{privilege}}}};
    };
    return {{"Entity", entity},
            {"OperationMap", json::object{{"GET", needs(reads)},
                                          {"HEAD", needs(reads)},
                                          {"PATCH", needs(changes)},
                                          {"POST", needs(changes)},
                                          {"PUT", needs(changes)},
                                          {"DELETE", needs(changes)}}}};
}

Resource privileges() {
    Resource map(service_uri + "/PrivilegeMap", "PrivilegeRegistry.v1_1_5.PrivilegeRegistry");
    map.constant("Id", "OpenLOM_PrivilegeRegistry").constant("Name", "Privileges");
    map.constant("PrivilegesUsed", json::array{"Login", "ConfigureManager", "ConfigureUsers",
                                               "ConfigureSelf", "ConfigureComponents"});
    map.constant("OEMPrivilegesUsed", json::array{});
    map.constant("Mappings",
                 json::array{mapping("ManagerAccount", "Login", "ConfigureUsers"),
                             mapping("Session", "Login", "ConfigureUsers"),
                             mapping("Manager", "Login", "ConfigureManager"),
                             mapping("ManagerNetworkProtocol", "Login", "ConfigureManager"),
                             mapping("ComputerSystem", "Login", "ConfigureComponents"),
                             mapping("Bios", "Login", "ConfigureComponents"),
                             mapping("VirtualMedia", "Login", "ConfigureManager"),
                             mapping("LogService", "Login", "ConfigureManager")});
    return map;
}

} // namespace

void declare_accounts(std::vector<Resource>& all) {
    all.push_back(account_service());
    all.push_back(accounts());
    all.push_back(account());
    all.push_back(roles());
    all.push_back(role());
    all.push_back(privileges());
}

} // namespace lom::web
