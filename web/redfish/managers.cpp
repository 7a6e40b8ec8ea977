// The service processor as a Manager, its network, its services, its certificate.
#include "web/redfish/resource.h"

namespace lom::web {

namespace {

const std::string sp_uri = "/redfish/v1/Managers/sp";
const std::string protocol_uri = sp_uri + "/NetworkProtocol";
const std::string certificates_uri = protocol_uri + "/HTTPS/Certificates";
const std::string ssl = "/SP/services/https/ssl";

const json::object& healthy() {
    static const json::object status{{"State", "Enabled"}, {"Health", "OK"}};
    return status;
}

Resource managers() {
    Resource collection("/redfish/v1/Managers", "ManagerCollection.ManagerCollection");
    collection.constant("Name", "Managers");
    collection.members([](const Scope&) { return std::vector<std::string>{sp_uri}; });
    return collection;
}

Task<Response> reset_manager(Scope& scope, json::object) {
    const auto done = co_await run_in_tree(scope, "/SP", "reset", false);
    co_return done ? no_content() : fault_response(done.fault());
}

Resource manager() {
    Resource one(sp_uri, "Manager.v1_19_0.Manager");
    one.shows("/SP");
    one.constant("Id", "sp").constant("Name", "Service processor");
    one.constant("Description", "OpenLOM service processor");
    one.constant("ManagerType", "BMC").constant("Manufacturer", "OpenLOM");
    one.constant("Model", "OpenLOM");
    one.text("FirmwareVersion", "/SP", "version");
    one.constant("PowerState", "On").constant("Status", healthy());
    one.constant("SerialConsole",
                 json::object{{"ServiceEnabled", true},
                              {"MaxConcurrentSessions", 500},
                              {"ConnectTypesSupported", json::array{"SSH", "Oem"}}});
    one.constant("GraphicalConsole",
                 json::object{{"ServiceEnabled", true},
                              {"MaxConcurrentSessions", 100},
                              {"ConnectTypesSupported", json::array{"KVMIP", "Oem"}}});
    one.constant("CommandShell", json::object{{"ServiceEnabled", true},
                                              {"MaxConcurrentSessions", 200},
                                              {"ConnectTypesSupported", json::array{"SSH"}}});
    one.text("Location/Placement/AdditionalInfo", "/SP", "system_location", true);
    one.changing("DateTime", [](const Scope&) { return json::value(iso_now()); });
    one.constant("DateTimeLocalOffset", "+00:00");
    one.link("NetworkProtocol", protocol_uri);
    one.link("EthernetInterfaces", sp_uri + "/EthernetInterfaces");
    one.link("LogServices", sp_uri + "/LogServices").link("VirtualMedia", sp_uri + "/VirtualMedia");
    one.constant("Links/ManagerForServers", json::array{link_to("/redfish/v1/Systems/host0")});
    one.constant("Links/ManagerForChassis", json::array{link_to("/redfish/v1/Chassis/host0")});
    one.constant("Links/ManagerInChassis", link_to("/redfish/v1/Chassis/host0"));
    one.action({"Manager.Reset",
                {{.name = "ResetType", .allowed = {"GracefulRestart", "ForceRestart"}}},
                reset_manager});
    return one;
}

/// Port and switch of one service of the tree.
void protocol(Resource& resource, const std::string& name, const std::string& target,
              const std::string& port, const std::string& state) {
    resource.may_show(target);
    resource.number(name + "/Port", target, port, true);
    resource.field({.at = name + "/ProtocolEnabled",
                    .read = [target, state](const Scope& scope) -> std::optional<json::value> {
                        if (!scope.has(target, state))
                            return std::nullopt;
                        return json::value(scope.text(target, state) == "enabled");
                    },
                    .target = target,
                    .property = state,
                    .convert = [](const json::value& on) -> Result<std::string> {
                        return std::string(on.get_bool() ? "enabled" : "disabled");
                    },
                    .kind = json::kind::bool_});
}

Resource network_protocol() {
    Resource one(protocol_uri, "ManagerNetworkProtocol.v1_10_0.ManagerNetworkProtocol");
    one.shows("/SP");
    one.constant("Id", "NetworkProtocol").constant("Name", "Network protocols");
    one.text("HostName", "/SP", "current_hostname").text("FQDN", "/SP", "current_hostname");
    one.constant("Status", healthy());
    protocol(one, "HTTPS", "/SP/services/https", "port", "servicestate");
    protocol(one, "SSH", "/SP/services/ssh", "port", "state");
    one.constant("HTTP/ProtocolEnabled", false);
    one.constant("IPMI/ProtocolEnabled", false).constant("SNMP/ProtocolEnabled", false);
    one.link("HTTPS/Certificates", certificates_uri);
    return one;
}

Resource interfaces() {
    Resource collection(sp_uri + "/EthernetInterfaces",
                        "EthernetInterfaceCollection.EthernetInterfaceCollection");
    collection.shows("/SP/network").constant("Name", "Network interfaces");
    collection.members([](const Scope& scope) {
        const std::string name = scope.text("/SP/network", "managementport");
        return name.empty() ? std::vector<std::string>{}
                            : std::vector{sp_uri + "/EthernetInterfaces/" + name};
    });
    return collection;
}

Resource interface() {
    const std::string network = "/SP/network";
    Resource one(sp_uri + "/EthernetInterfaces/{}", "EthernetInterface.v1_12_2.EthernetInterface");
    one.shows(network).shows("/SP");
    one.body([network](const Scope& scope) -> json::object {
        if (scope.text(network, "managementport") != scope.ids[0])
            return {};
        const std::string mac = scope.text(network, "macaddress");
        json::object address{{"Address", scope.text(network, "ipaddress")},
                             {"SubnetMask", scope.text(network, "ipnetmask")},
                             {"AddressOrigin", "Static"}};
        if (const std::string gateway = scope.text(network, "ipgateway"); !gateway.empty())
            address["Gateway"] = gateway;
        json::object body{{"Id", scope.ids[0]},
                          {"Name", "Network interface " + scope.ids[0]},
                          {"Status", healthy()},
                          {"InterfaceEnabled", true},
                          {"HostName", scope.text("/SP", "current_hostname")},
                          {"IPv4Addresses", json::array{std::move(address)}}};
        if (mac.size() == 17)
            body["MACAddress"] = mac;
        return body;
    });
    return one;
}

/// "CN=vm,O=OpenLOM" as Redfish's Identifier.
json::object identifier(const std::string& text) {
    json::object object;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string part = text.substr(begin, end - begin);
        begin = end + 1;
        const auto put = [&](const char* key, const char* name) {
            if (part.starts_with(key))
                object[name] = part.substr(std::string_view(key).size());
        };
        put("CN=", "CommonName");
        put("O=", "Organization");
        put("OU=", "OrganizationalUnit");
        put("C=", "Country");
        put("ST=", "State");
        put("L=", "City");
    }
    return object;
}

Resource certificates() {
    Resource collection(certificates_uri, "CertificateCollection.CertificateCollection");
    collection.constant("Name", "Certificates");
    collection.members([](const Scope&) { return std::vector{certificates_uri + "/1"}; });
    return collection;
}

Resource certificate() {
    Resource one(certificates_uri + "/1", "Certificate.v1_8_2.Certificate");
    one.shows(ssl);
    one.constant("Id", "1").constant("Name", "Certificate of HTTPS");
    one.constant("CertificateUsageTypes", json::array{"Web"});
    one.text("ValidNotBefore", ssl, "valid_from").text("ValidNotAfter", ssl, "valid_until");
    one.text("Fingerprint", ssl, "fingerprint");
    one.constant("FingerprintHashAlgorithm", "TPM_ALG_SHA256");
    one.computed("Subject", [](const Scope& scope) {
        return json::value(identifier(scope.text(ssl, "subject")));
    });
    one.computed("Issuer", [](const Scope& scope) {
        return json::value(identifier(scope.text(ssl, "issuer")));
    });
    return one;
}

Task<Response> replace_certificate(Scope& scope, json::object body) {
    const json::object* uri = fields::member(body, "CertificateUri");
    if (uri == nullptr || fields::text(*uri, "@odata.id") != certificates_uri + "/1") {
        const Message message{"ActionParameterValueNotInList",
                              {json::serialize(body["CertificateUri"]), "CertificateUri",
                               "CertificateService.ReplaceCertificate"}};
        co_return error_response(400, message);
    }
    std::string pem;
    for (const char c : fields::text(body, "CertificateString"))
        if (c == '\n')
            pem += "\\n"; // the tree's values have one line
        else if (c != '\r')
            pem += c;
    const auto done = co_await set_in_tree(scope, ssl, "custom_certificate", pem);
    if (!done)
        co_return fault_response(done.fault());
    Response response = no_content();
    co_return std::move(response.with("Location", certificates_uri + "/1"));
}

Resource certificate_service() {
    Resource one("/redfish/v1/CertificateService", "CertificateService.v1_0_5.CertificateService");
    one.constant("Id", "CertificateService").constant("Name", "Certificate service");
    one.link("CertificateLocations", "/redfish/v1/CertificateService/CertificateLocations");
    one.action({"CertificateService.ReplaceCertificate",
                {{.name = "CertificateString", .required = true},
                 {.name = "CertificateType", .required = true, .allowed = {"PEM", "PEMchain"}},
                 {.name = "CertificateUri", .kind = json::kind::object, .required = true}},
                replace_certificate});
    return one;
}

Resource certificate_locations() {
    Resource one("/redfish/v1/CertificateService/CertificateLocations",
                 "CertificateLocations.v1_0_3.CertificateLocations");
    one.constant("Id", "CertificateLocations").constant("Name", "Where certificates are");
    one.constant("Links/Certificates", json::array{link_to(certificates_uri + "/1")});
    return one;
}

} // namespace

void declare_managers(std::vector<Resource>& all) {
    all.push_back(managers());
    all.push_back(manager());
    all.push_back(network_protocol());
    all.push_back(interfaces());
    all.push_back(interface());
    all.push_back(certificates());
    all.push_back(certificate());
    all.push_back(certificate_service());
    all.push_back(certificate_locations());
}

} // namespace lom::web
