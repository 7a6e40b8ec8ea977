// The documents beside the resources: those that every Redfish service has at fixed addresses, open
// to all (/redfish, /redfish/v1/odata, /redfish/v1/$metadata), and the schemas of what is ours.
// Internal: only .cpp files take it.
#pragma once

#include "web/redfish/resource.h"

#include <string>
#include <vector>

namespace lom::web {

class Documents {
  public:
    explicit Documents(const std::vector<Resource>& all);

    struct Document {
        std::string type; ///< "application/json"
        std::string content;
    };
    /// Null: no document's address. `uri` is without a trailing slash.
    const Document* find(const std::string& uri) const;
    static Response answer(const Document& document, const Request& request);

  private:
    std::map<std::string, Document> documents_;
};

} // namespace lom::web
