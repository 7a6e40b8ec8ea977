// What the service says about its own words: schemas, registries.
#include "web/redfish/oem_schemas.h"
#include "web/redfish/resource.h"

#include <set>

namespace lom::web {

namespace {

const std::string schemas_uri = "/redfish/v1/JsonSchemas";
const std::string registries_uri = "/redfish/v1/Registries";
const std::string store_uri = "/redfish/v1/RegistryStore/OpenLOM.1.0.0.json";

const OemSchema* own_schema(const std::string& name) {
    for (const OemSchema& schema : oem_schemas())
        if (schema.namespace_name() == name)
            return &schema;
    return nullptr;
}

Resource schema_files(const std::set<std::string>& names) {
    Resource collection(schemas_uri, "JsonSchemaFileCollection.JsonSchemaFileCollection");
    collection.constant("Name", "Schemas");
    collection.members([names](const Scope&) {
        std::vector<std::string> uris;
        for (const std::string& name : names)
            uris.push_back(schemas_uri + "/" + name);
        return uris;
    });
    return collection;
}

Resource schema_file(const std::set<std::string>& names) {
    Resource one(schemas_uri + "/{}", "JsonSchemaFile.v1_1_5.JsonSchemaFile");
    one.body([names](const Scope& scope) -> json::object {
        const std::string& name = scope.ids[0];
        if (!names.contains(name))
            return {};
        json::object location{{"Language", "en"}};
        if (const OemSchema* own = own_schema(name))
            location["Uri"] = own->json_uri();
        else
            location["PublicationUri"] = "http://redfish.dmtf.org/schemas/v1/" + name + ".json";
        return {{"Id", name},
                {"Name", "Schema " + name},
                {"Schema", "#" + name + "." + name.substr(0, name.find('.'))},
                {"Languages", json::array{"en"}},
                {"Location", json::array{std::move(location)}}};
    });
    return one;
}

Resource registries() {
    Resource collection(registries_uri,
                        "MessageRegistryFileCollection.MessageRegistryFileCollection");
    collection.constant("Name", "Registries");
    collection.members([](const Scope&) {
        return std::vector{registries_uri + "/Base.1.22", registries_uri + "/OpenLOM.1.0"};
    });
    return collection;
}

Resource registry() {
    Resource one(registries_uri + "/{}", "MessageRegistryFile.v1_1_5.MessageRegistryFile");
    one.body([](const Scope& scope) -> json::object {
        const std::string& name = scope.ids[0];
        json::object location{{"Language", "en"}};
        if (name == "Base.1.22")
            location["PublicationUri"] = "http://redfish.dmtf.org/registries/Base.1.22.1.json";
        else if (name == "OpenLOM.1.0")
            location["Uri"] = store_uri;
        else
            return {};
        return {{"Id", name},
                {"Name", "Messages of " + name},
                {"Registry", name},
                {"Languages", json::array{"en"}},
                {"Location", json::array{std::move(location)}}};
    });
    return one;
}

json::object message(const char* text, const char* description, int arguments) {
    json::array types;
    for (int i = 0; i < arguments; ++i)
        types.emplace_back("string");
    json::object object{{"Description", description}, {"Message", text},
                        {"MessageSeverity", "OK"},    {"Severity", "OK"},
                        {"NumberOfArgs", arguments},  {"Resolution", "None."}};
    if (arguments > 0)
        object["ParamTypes"] = std::move(types);
    return object;
}

/// The messages of our own events.
Resource own_registry() {
    Resource one(store_uri, "MessageRegistry.v1_6_2.MessageRegistry");
    one.constant("Id", "OpenLOM.1.0.0").constant("Name", "OpenLOM messages");
    one.constant("Language", "en").constant("RegistryPrefix", "OpenLOM");
    one.constant("RegistryVersion", "1.0.0").constant("OwningEntity", "OpenLOM");
    one.constant(
        "Messages",
        json::object{{"TargetChanged",
                      message("%1 has changed.", "Something that a target shows has changed.", 1)},
                     {"PropertyChanged", message("The property %2 of %1 is now %3.",
                                                 "A property was set, through whatever door.", 3)},
                     {"LogEntryAdded", message("%2", "A log has a new entry.", 2)},
                     {"LogEntry", message("%1", "An entry of a log, in a sentence.", 1)},
                     {"Refused", message("%1", "Why something was not done, in a sentence.", 1)},
                     {"EventsMissed", message("Some events were lost; read anew what you show.",
                                              "The reader was too slow.", 0)}});
    return one;
}

} // namespace

void declare_schemas(std::vector<Resource>& all) {
    all.push_back(registries());
    all.push_back(registry());
    all.push_back(own_registry());
    std::set<std::string> names{"JsonSchemaFileCollection.JsonSchemaFileCollection",
                                "JsonSchemaFile.v1_1_5.JsonSchemaFile"};
    for (const Resource& resource : all)
        names.insert(resource.type());
    // A file is named by its namespace: "Manager.v1_19_0", "ManagerCollection".
    std::set<std::string> files;
    for (const std::string& name : names)
        files.insert(name.substr(0, name.rfind('.')));
    for (const OemSchema& schema : oem_schemas())
        files.insert(schema.namespace_name());
    all.push_back(schema_files(files));
    all.push_back(schema_file(files));
}

} // namespace lom::web
