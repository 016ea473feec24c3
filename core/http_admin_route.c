// SPDX-License-Identifier: Apache-2.0
// From a request to its page: the table of routes, and what is said when there is none. Runs on the admin thread only.
#include "http_admin_state.h"

#include <stdio.h>
#include <string.h>

#include "http_admin_conn.h"

static const struct bfr_admin_route routes[] = {
    {"/livez", EVHTTP_REQ_GET, bfr_admin_page_livez},
    {"/readyz", EVHTTP_REQ_GET, bfr_admin_page_readyz},
    {"/api/v1/health", EVHTTP_REQ_GET, bfr_admin_page_health},
    {"/metrics", EVHTTP_REQ_GET, bfr_admin_page_metrics},
};

static const struct {
    enum evhttp_cmd_type method;
    const char *allow;
} methods[] = {
    {EVHTTP_REQ_GET, "GET, HEAD"},
    {EVHTTP_REQ_POST, "POST"},
    {EVHTTP_REQ_PUT, "PUT"},
    {EVHTTP_REQ_DELETE, "DELETE"},
};

static bool takes(const struct bfr_admin_route *route, enum evhttp_cmd_type method)
{
    return route->method == method || (route->method == EVHTTP_REQ_GET && method == EVHTTP_REQ_HEAD);
}

// RFC 9110 section 15.5.6: a 405 names the methods that the resource has.
static void reply_not_allowed(struct evhttp_request *request, const char *path)
{
    char allow[64] = "";
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        for (size_t j = 0; j < sizeof methods / sizeof methods[0]; j++) {
            if (strcmp(routes[i].path, path) != 0 || routes[i].method != methods[j].method)
                continue;
            size_t size = strlen(allow);
            snprintf(allow + size, sizeof allow - size, "%s%s", size > 0 ? ", " : "", methods[j].allow);
        }
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
        bfr_admin_page_metrics(admin, request);
}

void bfr_admin_dispatch(struct evhttp_request *request, void *arg)
{
    struct bfr_http_admin *admin = arg;
    bfr_admin_conns_renew(admin->conns, evhttp_request_get_connection(request));

    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    bool found = false;
    for (size_t i = 0; path != NULL && i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) != 0)
            continue;
        found = true;
        if (takes(&routes[i], evhttp_request_get_command(request))) {
            routes[i].handle(admin, request);
            return;
        }
    }
    if (found)
        reply_not_allowed(request, path);
    else
        bfr_admin_reply_error(request, 404, "there is no such page");
}
