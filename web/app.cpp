#include "web/app.h"

#include "web/redfish/messages.h"
#include "web/redfish/service.h"

#include <exception>
#include <iostream>

namespace lom::web {

namespace {

constexpr std::size_t longest_body = 256U << 10U; // lomd takes no longer request either
constexpr std::size_t longest_login = 4U << 10U;
constexpr std::string_view cookie_name = "__Host-openlom=";

bool is_safe(const std::string& method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

std::string cookie_token(const Request& request) {
    const std::string cookies = request.header("cookie");
    const std::size_t at = cookies.find(cookie_name);
    if (at == std::string::npos || (at > 0 && cookies[at - 1] != ' ' && cookies[at - 1] != ';'))
        return "";
    return cookies.substr(at + cookie_name.size(), cookies.find(';', at) - at - cookie_name.size());
}

/// A browser says where the page comes from; only our own page may use our cookie.
bool from_our_page(const Request& request) {
    const std::string origin = request.header("origin");
    return origin == "https://" + request.header("host");
}

/// What a foreign page cannot send without asking first: the header needs a preflight, which is
/// never granted; and the browser's own word on where it comes from.
bool may_use_cookie(const Request& request) {
    if (request.wants_websocket)
        return from_our_page(request);
    if (is_safe(request.method))
        return true;
    const bool origin_fine = request.header("origin").empty() || from_our_page(request);
    return origin_fine && !request.header("x-requested-with").empty();
}

} // namespace

struct App::Impl {
    Impl(Loop& loop, Options options)
        : sessions(loop, std::move(options.control_socket), std::move(options.door_ticket),
                   options.session_time_out),
          files(std::move(options.ui)), redfish(loop, sessions) {}

    /// Absent credentials: no session and no fault.
    Task<Result<WebSessions::Ptr>> who(const Request& request) {
        if (const std::string token = request.header("x-auth-token"); !token.empty()) {
            auto session = co_await sessions.find(token);
            co_return std::move(session);
        }
        const std::string authorization = request.header("authorization");
        if (authorization.starts_with("Basic ")) {
            bool fine = true;
            const std::string both = base64_decoded(authorization.substr(6), fine);
            const std::size_t colon = both.find(':');
            if (!fine || colon == std::string::npos)
                co_return Fault{FaultKind::denied, "The Authorization header is not Basic."};
            auto session = co_await sessions.basic(both.substr(0, colon), both.substr(colon + 1),
                                                   request.source);
            co_return std::move(session);
        }
        if (const std::string token = cookie_token(request); !token.empty()) {
            if (!may_use_cookie(request))
                co_return Fault{FaultKind::denied,
                                "The request does not come from this service processor's page."};
            auto session = co_await sessions.find(token);
            co_return std::move(session);
        }
        co_return WebSessions::Ptr();
    }

    static Response unauthorized(const Request& request, const Fault& fault) {
        if (fault.kind != FaultKind::denied)
            return fault_response(fault);
        const Message message{"NoValidSession", {}, "", fault.message};
        Response response = error_response(401, message);
        // A browser would show a dialogue of its own to our page.
        if (request.header("x-requested-with").empty() && cookie_token(request).empty())
            response.with("WWW-Authenticate", "Basic realm=\"OpenLOM\", charset=\"UTF-8\"");
        return response;
    }

    Task<Response> route(Request request) {
        try {
            auto response = co_await dispatch(request);
            co_return std::move(response);
        } catch (const std::exception& error) {
            std::cerr << "lom-web: " << request.method << " " << request.path << ": "
                      << error.what() << "\n";
        }
        const Message message{"InternalError", {}};
        co_return error_response(500, message);
    }

    Task<Response> dispatch(const Request& request) {
        const bool redfish_path =
            request.path == "/redfish" || request.path.starts_with("/redfish/");
        if (!redfish_path && !request.wants_websocket)
            co_return files.answer(request);
        auto session = co_await who(request);
        if (!session && !Redfish::is_open_to_all(request))
            co_return finished(unauthorized(request, session.fault()), request);
        const WebSessions::Ptr known = session ? *session : nullptr;
        if (!known && !Redfish::is_open_to_all(request)) {
            const Fault nobody{FaultKind::denied, "Log in first."};
            co_return finished(unauthorized(request, nobody), request);
        }
        auto response = co_await redfish.answer(request, known);
        if (known && known->ended() && response.status == 403) { // it ended meanwhile
            const Fault over{FaultKind::denied, "The session has ended; log in again."};
            co_return finished(unauthorized(request, over), request);
        }
        co_return finished(std::move(response), request);
    }

    /// What every Redfish response carries.
    static Response finished(Response response, const Request& request) {
        if (request.wants_websocket && response.status < 300)
            return response;
        response.with("OData-Version", "4.0").with("Cache-Control", "no-store");
        // Our own page's origin alone, whoever asks: browsers then keep the answer from all others.
        if (!request.header("origin").empty())
            response.with("Access-Control-Allow-Origin", "https://" + request.header("host"));
        return response;
    }

    WebSessions sessions;
    Files files;
    Redfish redfish;
};

App::App(Loop& loop, Options options) : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
App::~App() = default;

void App::answer(Request request, std::function<void(Response)> respond) {
    detach<Response>(impl_->route(std::move(request)), std::move(respond));
}

std::size_t App::body_limit(const Request& request) const {
    if (is_safe(request.method))
        return longest_login; // sushy and others send an empty one, or {}
    const bool has_credentials = !request.header("x-auth-token").empty() ||
                                 !request.header("authorization").empty() ||
                                 !cookie_token(request).empty();
    return has_credentials ? longest_body : longest_login;
}

} // namespace lom::web
