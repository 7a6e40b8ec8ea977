#include "web/redfish/oem_schemas.h"

namespace lom::web {

namespace {

enum class Shape {
    text,
    texts, ///< an array of strings
    flag,
    scalar,     ///< text, a number, a flag or null
    link,       ///< to any resource
    open,       ///< an object of whatever names
    object,     ///< of the type named
    objects,    ///< an array of those
    dictionary, ///< those, by names that the declarations of the tree decide
};

struct Property {
    const char* name;
    Shape shape;
    const char* doc;
    const char* type = ""; ///< in the same file, of object, objects and dictionary
    bool readable = true;  ///< false: a client says it, and never sees it again
};

struct Type {
    const char* name;
    const char* doc;
    std::vector<Property> properties;
    bool is_resource = false; ///< with an address of its own
};

const std::vector<Type>& parts_of_resources() {
    static const std::vector<Type> types{
        {"ServiceRoot",
         "What this service adds to the service root.",
         {{"Tree", Shape::link, "The root of the target tree, which the shell shows too."},
          {"Version", Shape::text, "The version of the service processor's software."}}},
        {"Session",
         "What this service adds to a session.",
         {{"Roles", Shape::text, "The roles of the session's account, a letter each."},
          {"Hostname", Shape::text, "The name of the service processor."},
          {"Cookie", Shape::flag, "True at log-in: answer with a cookie, not a token.", "",
           false}}},
        {"EventDestination",
         "What this service adds to an event destination.",
         {{"DeliveryStatus", Shape::text, "How the last deliveries went."},
          {"Secret", Shape::text, "What events are signed with; empty: they are not.", "", false}}},
        {"System",
         "What this service adds to a computer system.",
         {{"HostStatus", Shape::text, "What the host does, in the shell's words."},
          {"HostStatusDetail", Shape::text, "The same in a sentence, where there is one."},
          {"SerialConsole", Shape::text, "Where the serial console is, by websocket."},
          {"Screen", Shape::text, "Where the screen is, by websocket (RFB)."},
          {"Tree", Shape::link, "The host in the target tree."}}},
        {"VirtualMedia",
         "What this service adds to a virtual drive.",
         {{"Status", Shape::text, "How it is with the image, in the shell's words."},
          {"StatusDetail", Shape::text, "The same in a sentence, where there is one."},
          {"Target", Shape::link, "The drive in the target tree."}}},
        {"LogEntry",
         "An entry of a log, as the shell shows it.",
         {{"Class", Shape::text, "What kind of part it is about."},
          {"Type", Shape::text, "Log, Fault, Action or Security."},
          {"Severity", Shape::text, "The severity in the shell's words."}}},
        {"Change",
         "What has changed in the target tree.",
         {{"Kind", Shape::text, "property, target, event_log, audit_log or missed."},
          {"Target", Shape::text, "The target's path."},
          {"Property", Shape::text, "The property's name; empty: not about one."},
          {"Text", Shape::text, "The property's new value, or the entry of a log."}}}};
    return types;
}

const std::vector<Type>& targets() {
    static const std::vector<Type> types{
        {"OpenLOMTarget",
         "A target of the tree, as the shell's show has it.",
         {{"Path", Shape::text, "The target's path."},
          {"Properties", Shape::dictionary, "The target's properties by name.", "PropertyValue"},
          {"Targets", Shape::objects, "The targets below; names only without ?depth.",
           "OpenLOMTarget"},
          {"Commands", Shape::texts, "The verbs that it takes."},
          {"Text", Shape::text, "What it shows besides its properties."},
          {"Table", Shape::object, "What it lists.", "Table"},
          {"Description", Shape::open, "The declaration, with ?describe."}},
         true},
        {"PropertyValue",
         "A property's value.",
         {{"Value", Shape::scalar, "The value as JSON; null: there is none, or it is secret."},
          {"Values", Shape::texts, "Instead of Value where there may be several."},
          {"Text", Shape::text, "The value as the shell prints it."}}},
        {"Table",
         "A table, as of a log.",
         {{"Title", Shape::text, "What it lists."},
          {"Columns", Shape::texts, "The columns' names."},
          {"Rows", Shape::objects, "The rows, newest first in logs.", "Row"}}},
        {"Row", "A row of a table.", {{"Cells", Shape::texts, "A text for each column."}}}};
    return types;
}

// -- CSDL

std::string attribute(const char* text) {
    std::string escaped;
    for (const char c : std::string(text))
        escaped += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '"' ? "&quot;" : std::string(1, c);
    return escaped;
}

std::string description(const std::string& indent, const char* doc) {
    return indent + "<Annotation Term=\"OData.Description\" String=\"" + attribute(doc) + "\"/>\n" +
           indent + "<Annotation Term=\"OData.LongDescription\" String=\"" + attribute(doc) +
           "\"/>\n";
}

std::string csdl_type(const Property& property, const std::string& file) {
    switch (property.shape) {
    case Shape::text:
        return "Edm.String";
    case Shape::texts:
        return "Collection(Edm.String)";
    case Shape::flag:
        return "Edm.Boolean";
    case Shape::scalar:
        return "Edm.PrimitiveType";
    case Shape::link:
        return "Resource.Item";
    case Shape::open:
        return file + ".Open";
    case Shape::object:
        return file + "." + property.type;
    case Shape::objects:
        return "Collection(" + file + "." + property.type + ")";
    case Shape::dictionary:
        return file + "." + property.type + "s";
    }
    return "";
}

std::string csdl_property(const Property& property, const std::string& file) {
    // A target's targets are resources, and shown whole.
    const bool is_nested = property.type == std::string("OpenLOMTarget");
    const std::string element =
        is_nested || property.shape == Shape::link ? "NavigationProperty" : "Property";
    std::string text = "        <" + element + " Name=\"" + property.name + "\" Type=\"" +
                       csdl_type(property, file) + "\"" +
                       (property.shape == Shape::scalar ? "" : " Nullable=\"false\"") +
                       (is_nested ? " ContainsTarget=\"true\"" : "") + ">\n";
    text += std::string("          <Annotation Term=\"OData.Permissions\" "
                        "EnumMember=\"OData.Permission/") +
            (property.readable ? "Read" : "Write") + "\"/>\n";
    text += description("          ", property.doc);
    if (is_nested)
        text += "          <Annotation Term=\"OData.AutoExpand\"/>\n";
    return text + "        </" + element + ">\n";
}

std::string csdl_schema(const std::string& name, const std::string& content) {
    return "    <Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"" + name +
           "\">\n      <Annotation Term=\"Redfish.OwningEntity\" String=\"OpenLOM\"/>\n" + content +
           "    </Schema>\n";
}

/// An object whose names are not fixed; `values`: of one type.
std::string csdl_open(const std::string& name, const std::string& values) {
    std::string text = "      <ComplexType Name=\"" + name +
                       "\">\n        <Annotation Term=\"OData.AdditionalProperties\" Bool=\"" +
                       (values.empty() ? "true" : "false") + "\"/>\n" +
                       description("        ", "An object whose names are not fixed.");
    if (!values.empty())
        text += "        <Annotation Term=\"Redfish.DynamicPropertyPatterns\">\n"
                "          <Collection>\n            <Record>\n"
                "              <PropertyValue Property=\"Pattern\" String=\".+\"/>\n"
                "              <PropertyValue Property=\"Type\" String=\"" +
                values +
                "\"/>\n            </Record>\n          </Collection>\n        </Annotation>\n";
    return text + "      </ComplexType>\n";
}

std::string csdl_base(const std::string& name, const Type& type) {
    if (type.is_resource)
        return name + "." + type.name;
    return name == "OpenLOM" ? "Resource.OemObject" : "";
}

std::string csdl_of(const std::string& name, const std::string& version,
                    const std::vector<Type>& types) {
    const std::string file = name + "." + version;
    std::string plain, versioned;
    for (const Type& type : types) {
        const std::string element = type.is_resource ? "EntityType" : "ComplexType";
        const std::string base = csdl_base(name, type);
        if (type.is_resource)
            plain += std::string("      <EntityType Name=\"") + type.name +
                     "\" BaseType=\"Resource.v1_0_0.Resource\" Abstract=\"true\">\n" +
                     description("        ", type.doc) + "      </EntityType>\n";
        versioned += "      <" + element + " Name=\"" + type.name + "\"" +
                     (base.empty() ? "" : " BaseType=\"" + base + "\"") +
                     ">\n        <Annotation Term=\"OData.AdditionalProperties\" "
                     "Bool=\"false\"/>\n" +
                     description("        ", type.doc);
        for (const Property& property : type.properties)
            versioned += csdl_property(property, file);
        versioned += "      </" + element + ">\n";
        for (const Property& property : type.properties) {
            if (property.shape == Shape::open)
                versioned += csdl_open("Open", "");
            if (property.shape == Shape::dictionary)
                versioned +=
                    csdl_open(std::string(property.type) + "s", file + "." + property.type);
        }
    }
    const std::string odata = "http://docs.oasis-open.org/odata/odata/v4.0/errata03/csd01/complete/"
                              "vocabularies/Org.OData.Core.V1.xml";
    const std::string redfish = "http://redfish.dmtf.org/schemas/v1/";
    const auto reference = [](const std::string& uri, const std::string& include) {
        return "  <edmx:Reference Uri=\"" + uri + "\">\n    <edmx:Include Namespace=" + include +
               "/>\n  </edmx:Reference>\n";
    };
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<edmx:Edmx "
           "xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.0\">\n" +
           reference(odata, "\"Org.OData.Core.V1\" Alias=\"OData\"") +
           reference(redfish + "RedfishExtensions_v1.xml",
                     "\"RedfishExtensions.v1_0_0\" Alias=\"Redfish\"") +
           reference(redfish + "Resource_v1.xml",
                     "\"Resource\"/>\n    <edmx:Include Namespace=\"Resource.v1_0_0\"") +
           "  <edmx:DataServices>\n" + csdl_schema(name, plain) +
           csdl_schema(name + "." + version, versioned) + "  </edmx:DataServices>\n</edmx:Edmx>\n";
}

// -- JSON Schema

json::object json_property(const Property& property) {
    json::object object{{"description", property.doc}, {"longDescription", property.doc}};
    object["readonly"] = property.readable;
    json::object inner{{"$ref", std::string("#/definitions/") + property.type}};
    switch (property.shape) {
    case Shape::text:
        object["type"] = "string";
        break;
    case Shape::texts:
        object["type"] = "array";
        object["items"] = json::object{{"type", "string"}};
        break;
    case Shape::flag:
        object["type"] = "boolean";
        break;
    case Shape::scalar:
        object["type"] = json::array{"string", "number", "boolean", "null"};
        break;
    case Shape::link:
        object["$ref"] = "http://redfish.dmtf.org/schemas/v1/odata-v4.json#/definitions/idRef";
        break;
    case Shape::open:
        object["type"] = "object";
        break;
    case Shape::object:
        object["$ref"] = inner["$ref"];
        break;
    case Shape::objects:
        object["type"] = "array";
        object["items"] = std::move(inner);
        break;
    case Shape::dictionary:
        object["type"] = "object";
        object["additionalProperties"] = std::move(inner);
        break;
    }
    return object;
}

json::object json_type(const Type& type) {
    json::object properties;
    if (type.is_resource)
        for (const char* name : {"@odata.id", "Id", "Name"})
            properties[name] = json::object{{"type", "string"}};
    properties["@odata.type"] = json::object{{"type", "string"}};
    for (const Property& property : type.properties)
        properties[property.name] = json_property(property);
    json::object object{{"type", "object"},
                        {"description", type.doc},
                        {"longDescription", type.doc},
                        {"additionalProperties", false},
                        {"properties", std::move(properties)}};
    if (type.is_resource)
        object["required"] = json::array{"@odata.id", "@odata.type", "Id", "Name"};
    return object;
}

std::string json_of(const std::string& name, const std::string& version,
                    const std::vector<Type>& types) {
    json::object definitions;
    for (const Type& type : types)
        definitions[type.name] = json_type(type);
    json::object schema{
        {"$id", "/redfish/v1/SchemaStore/" + name + "." + version + ".json"},
        {"$schema", "http://redfish.dmtf.org/schemas/v1/redfish-schema-v1.json"},
        {"title", "#" + name + "." + version + (types.front().is_resource ? "." + name : "")},
        {"owningEntity", "OpenLOM"},
        {"definitions", std::move(definitions)}};
    if (types.front().is_resource)
        schema["$ref"] = "#/definitions/" + name;
    return json::serialize(schema);
}

OemSchema schema_of(const std::string& name, const std::vector<Type>& types) {
    const std::string version = "v1_0_0";
    return {name, version, csdl_of(name, version, types), json_of(name, version, types)};
}

} // namespace

std::string OemSchema::csdl_uri() const { return "/redfish/v1/SchemaStore/" + name + "_v1.xml"; }

std::string OemSchema::json_uri() const {
    return "/redfish/v1/SchemaStore/" + namespace_name() + ".json";
}

const std::vector<OemSchema>& oem_schemas() {
    static const std::vector<OemSchema> all{schema_of("OpenLOM", parts_of_resources()),
                                            schema_of("OpenLOMTarget", targets())};
    return all;
}

} // namespace lom::web
