// libFuzzer: what a stranger's HTTP request makes lom-web read, once Beast has taken it apart: the
// address, its query, $filter, the Basic header, a JSON body, and an event from lomd.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -DLOM_VERSION='"fuzz"' -I.
//   tests/fuzz/web_fuzz.cpp web/{http,json}.cpp web/redfish/{query,messages}.cpp -lboost_json
#include "web/http.h"
#include "web/json.h"
#include "web/redfish/messages.h"
#include "web/redfish/query.h"

#include <cstdlib>

using namespace lom;
using namespace lom::web;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string text(data, data + size);
    bool fine = true;
    const std::string path = percent_decoded(text, false, fine);
    if (fine && path.find('\0') != std::string::npos && text.find('\0') == std::string::npos)
        std::abort(); // a NUL must not come out of what had none
    const auto query = parse_query(text, fine);
    const auto options = parse_query_options(query);
    bool decoded = true;
    (void)base64_decoded(text, decoded);
    const auto body = parse_body(text);
    const auto filter = Filter::parse(text);
    json::object resource = body ? *body : json::object{{"Name", "x"}, {"Size", 1}};
    if (filter)
        (void)filter->matches(resource);
    if (options && !options->select.empty())
        apply_select(resource, options->select);
    for (const auto& [key, value] : resource) {
        bool simple = true;
        const std::string set = set_text(value, simple);
        (void)error_response(400, Message{"PropertyValueTypeError", {set, std::string(key)}});
    }
    return 0;
}
