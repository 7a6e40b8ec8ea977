// The schemas of what is ours in Redfish: the objects in Oem/OpenLOM, and the targets of the tree.
// Each is declared once, and told both as CSDL, for OData clients and DMTF's validator, and as JSON
// Schema. Internal: only .cpp files take it.
#pragma once

#include "web/json.h"

#include <string>
#include <vector>

namespace lom::web {

/// A file of schemas: the namespace with its version, and its two texts.
struct OemSchema {
    std::string name;    ///< "OpenLOM"
    std::string version; ///< "v1_0_0"
    std::string csdl;
    std::string json;

    std::string namespace_name() const { return name + "." + version; }
    std::string csdl_uri() const; ///< in the service
    std::string json_uri() const;
};

const std::vector<OemSchema>& oem_schemas();

} // namespace lom::web
