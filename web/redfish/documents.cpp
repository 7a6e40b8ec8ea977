#include "web/redfish/documents.h"

#include "web/redfish/oem_schemas.h"

#include <set>

namespace lom::web {

namespace {

constexpr const char* json_type = "application/json";

std::string reference(const std::string& uri, const std::set<std::string>& namespaces) {
    std::string xml = "  <edmx:Reference Uri=\"" + uri + "\">\n";
    for (const std::string& name : namespaces)
        xml += "    <edmx:Include Namespace=\"" + name + "\"" +
               (name == "RedfishExtensions.v1_0_0" ? " Alias=\"Redfish\"" : "") + "/>\n";
    return xml + "  </edmx:Reference>\n";
}

/// The schemas in use with their versions, for OData clients.
std::string metadata(const std::vector<Resource>& all) {
    std::map<std::string, std::set<std::string>> files;
    std::string root;
    for (const Resource& resource : all) {
        const std::string& type = resource.type(); // "Manager.v1_20_0.Manager"
        const std::string file = type.substr(0, type.find('.'));
        const std::string versioned = type.substr(0, type.rfind('.'));
        files[file].insert(file);
        files[file].insert(versioned);
        if (file == "ServiceRoot")
            root = versioned;
    }
    files["RedfishExtensions"] = {"RedfishExtensions.v1_0_0"};
    std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<edmx:Edmx "
                      "xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.0\">\n";
    for (const auto& [file, namespaces] : files)
        xml += reference("http://redfish.dmtf.org/schemas/v1/" + file + "_v1.xml", namespaces);
    for (const OemSchema& schema : oem_schemas())
        xml += reference(schema.csdl_uri(), {schema.name, schema.namespace_name()});
    return xml +
           "  <edmx:DataServices>\n"
           "    <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"Service\">\n"
           "      <EntityContainer Name=\"Service\" Extends=\"" +
           root +
           ".ServiceContainer\"/>\n    </Schema>\n  </edmx:DataServices>\n"
           "</edmx:Edmx>\n";
}

std::string odata() {
    json::array values;
    const auto add = [&](const char* name, const char* uri) {
        values.push_back(json::object{{"name", name}, {"kind", "Singleton"}, {"url", uri}});
    };
    add("Service", "/redfish/v1/");
    add("Systems", "/redfish/v1/Systems");
    add("Managers", "/redfish/v1/Managers");
    add("Chassis", "/redfish/v1/Chassis");
    add("SessionService", "/redfish/v1/SessionService");
    add("AccountService", "/redfish/v1/AccountService");
    add("CertificateService", "/redfish/v1/CertificateService");
    add("EventService", "/redfish/v1/EventService");
    add("Tasks", "/redfish/v1/TaskService");
    add("JsonSchemas", "/redfish/v1/JsonSchemas");
    add("Registries", "/redfish/v1/Registries");
    add("Sessions", "/redfish/v1/SessionService/Sessions");
    return json::serialize(
        json::object{{"@odata.context", "/redfish/v1/$metadata"}, {"value", std::move(values)}});
}

} // namespace

Documents::Documents(const std::vector<Resource>& all)
    : documents_{{"/redfish", {json_type, R"({"v1":"/redfish/v1/"})"}},
                 {"/redfish/v1/odata", {json_type, odata()}},
                 {"/redfish/v1/$metadata", {"application/xml", metadata(all)}}} {
    for (const OemSchema& schema : oem_schemas()) {
        documents_[schema.csdl_uri()] = {"application/xml", schema.csdl};
        documents_[schema.json_uri()] = {json_type, schema.json};
    }
}

const Documents::Document* Documents::find(const std::string& uri) const {
    const auto found = documents_.find(uri);
    return found == documents_.end() ? nullptr : &found->second;
}

Response Documents::answer(const Document& document, const Request& request) {
    if (request.method != "GET" && request.method != "HEAD")
        return method_refused("GET, HEAD");
    Response response;
    response.body = document.content;
    response.with("Content-Type", document.type + "; charset=utf-8").with("Allow", "GET, HEAD");
    return response;
}

} // namespace lom::web
