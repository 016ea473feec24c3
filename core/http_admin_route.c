// SPDX-License-Identifier: Apache-2.0
// From a request to its page: the table of routes, and what is said when there is none. Runs on the admin thread only.
#include "http_admin_state.h"

#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "http_admin_conn.h"
#include "http_admin_guard.h"
#include "http_peer.h"

// Each is described in openapi/openapi.json, and a test sees to it.
static const struct bfr_admin_route routes[] = {
    {"/", EVHTTP_REQ_GET, false, bfr_admin_page_dashboard},
    {"/livez", EVHTTP_REQ_GET, false, bfr_admin_page_livez},
    {"/readyz", EVHTTP_REQ_GET, false, bfr_admin_page_readyz},
    {"/api/v1/health", EVHTTP_REQ_GET, false, bfr_admin_page_health},
    {"/metrics", EVHTTP_REQ_GET, false, bfr_admin_page_metrics},
    {"/v2/docs", EVHTTP_REQ_GET, false, bfr_admin_page_docs},
    {"/v2/docs/openapi.json", EVHTTP_REQ_GET, false, bfr_admin_page_openapi},
    {"/api/v1/tenants", EVHTTP_REQ_GET, true, bfr_admin_page_tenants},
    {"/api/v1/tenants/count", EVHTTP_REQ_GET, true, bfr_admin_page_tenant_count},
    {"/api/v1/tenants/{}", EVHTTP_REQ_GET, true, bfr_admin_page_tenant},
    {"/api/v1/config", EVHTTP_REQ_GET, true, bfr_admin_page_config},
    {"/api/v1/reload", EVHTTP_REQ_POST, true, bfr_admin_page_reload},
    {"/api/v1/stats", EVHTTP_REQ_GET, true, bfr_admin_page_stats},
    {"/api/v1/tail", EVHTTP_REQ_GET, true, bfr_admin_page_tail},
    {"/api/v1/log-level", EVHTTP_REQ_GET, true, bfr_admin_page_level},
    {"/api/v1/log-level", EVHTTP_REQ_PUT, true, bfr_admin_page_set_level},
    {"/api/v1/dlq/stats", EVHTTP_REQ_GET, true, bfr_admin_page_letters_stats},
    {"/api/v1/dlq/files", EVHTTP_REQ_GET, true, bfr_admin_page_letters},
    {"/api/v1/dlq/files/{}", EVHTTP_REQ_GET, true, bfr_admin_page_letter},
    {"/api/v1/dlq/retry", EVHTTP_REQ_POST, true, bfr_admin_page_retry},
    {"/api/v1/dlq/purge", EVHTTP_REQ_POST, true, bfr_admin_page_purge},
    {"/api/v1/tenants/{}/purge", EVHTTP_REQ_POST, true, bfr_admin_page_purge_tenant},
};

const struct bfr_admin_route *bfr_admin_routes(size_t *out_count)
{
    *out_count = sizeof routes / sizeof routes[0];
    return routes;
}

static const struct {
    enum evhttp_cmd_type method;
    const char *allow;
} methods[] = {
    {EVHTTP_REQ_GET, "GET, HEAD"},
    {EVHTTP_REQ_POST, "POST"},
    {EVHTTP_REQ_PUT, "PUT"},
    {EVHTTP_REQ_DELETE, "DELETE"},
};

// Does the path fit the pattern? What stands at "{}" goes to `out`; it is neither empty nor longer than `out`.
static bool fits(const char *pattern, const char *path, char *out)
{
    const char *brace = strchr(pattern, '{');
    out[0] = '\0';
    if (brace == NULL)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(brace - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t length = strcspn(path + before, "/");
    if (length == 0 || length >= BFR_ADMIN_PARAMETER_MAX || strcmp(path + before + length, brace + 2) != 0)
        return false;
    memcpy(out, path + before, length);
    out[length] = '\0';
    return true;
}

static bool takes(const struct bfr_admin_route *route, enum evhttp_cmd_type method)
{
    return route->method == method || (route->method == EVHTTP_REQ_GET && method == EVHTTP_REQ_HEAD);
}

static bool has_method(const char *path, enum evhttp_cmd_type method)
{
    char parameter[BFR_ADMIN_PARAMETER_MAX];
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (routes[i].method == method && fits(routes[i].path, path, parameter))
            return true;
    }
    return false;
}

// RFC 9110 section 15.5.6: a 405 names the methods that the resource has.
static void reply_not_allowed(struct evhttp_request *request, const char *path)
{
    char allow[64] = "";
    for (size_t j = 0; j < sizeof methods / sizeof methods[0]; j++) {
        if (!has_method(path, methods[j].method))
            continue;
        size_t size = strlen(allow);
        snprintf(allow + size, sizeof allow - size, "%s%s", size > 0 ? ", " : "", methods[j].allow);
    }
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
    bfr_admin_reply_error(request, 405, "this page does not have that method");
}

void bfr_admin_dispatch_metrics(struct evhttp_request *request, void *arg)
{
    struct bfr_http_admin *admin = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    bfr_admin_conns_renew(admin->metrics_conns, evhttp_request_get_connection(request));
    if (path == NULL || strcmp(path, "/metrics") != 0)
        bfr_admin_reply_error(request, 404, "this port has /metrics alone; the API is on server.api_port");
    else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
        reply_not_allowed(request, path);
    else
        bfr_admin_page_metrics(admin, request, "");
}

static struct bfr_admin_verdict judge(struct bfr_http_admin *admin, struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    struct bfr_peer peer;
    bool known = bfr_peer_of_socket(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), &peer);
    struct bfr_admin_claim claim = {.authorization = evhttp_find_header(headers, "Authorization"),
                                    .host = evhttp_find_header(headers, "Host"),
                                    .origin = evhttp_find_header(headers, "Origin"),
                                    .fetch_site = evhttp_find_header(headers, "Sec-Fetch-Site"),
                                    .content_type = evhttp_find_header(headers, "Content-Type"),
                                    .peer_known = known,
                                    .changes = method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD,
                                    .has_body = evbuffer_get_length(evhttp_request_get_input_buffer(request)) > 0};
    memcpy(claim.peer, peer.address, sizeof claim.peer);
    struct bfr_admin_verdict verdict = bfr_admin_guard(bfr_admin_enter(admin)->server.admin_token, &claim);
    bfr_admin_leave(admin);
    return verdict;
}

static void serve(struct bfr_http_admin *admin, struct evhttp_request *request, const struct bfr_admin_route *route,
                  const char *parameter)
{
    struct bfr_admin_verdict verdict = {0, NULL};
    if (route->guarded)
        verdict = judge(admin, request);
    if (verdict.status != 0)
        bfr_admin_reply_error(request, verdict.status, verdict.error);
    else
        route->handle(admin, request, parameter);
}

void bfr_admin_dispatch(struct evhttp_request *request, void *arg)
{
    struct bfr_http_admin *admin = arg;
    char parameter[BFR_ADMIN_PARAMETER_MAX];
    bfr_admin_conns_renew(admin->conns, evhttp_request_get_connection(request));

    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    bool found = false;
    for (size_t i = 0; path != NULL && i < sizeof routes / sizeof routes[0]; i++) {
        if (!fits(routes[i].path, path, parameter))
            continue;
        found = true;
        if (takes(&routes[i], evhttp_request_get_command(request))) {
            serve(admin, request, &routes[i], parameter);
            return;
        }
    }
    if (found)
        reply_not_allowed(request, path);
    else
        bfr_admin_reply_error(request, 404, "there is no such page");
}
