// SPDX-License-Identifier: Apache-2.0
// What the files of the API port share: the server's state, routes and replies. Nobody else includes this.
#ifndef BFR_CORE_HTTP_ADMIN_STATE_H
#define BFR_CORE_HTTP_ADMIN_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <event2/http.h>
#include <jansson.h>

#include "http_admin.h"

struct bfr_http_admin {
    struct bfr_admin_setup setup;
    uint64_t born_ns;              // monotonic
    _Atomic(const char *) unready; // static text; NULL: ask the pipeline
    struct event_base *base;       // these four: the admin thread's while it runs
    struct evhttp *http;
    struct bfr_admin_conns *conns;
    struct event *wake;
    struct bfr_tls *tls;         // of the API; NULL: none
    struct bfr_admin_work *work; // what takes long
    struct bfr_admin_tails *tails;
    struct evhttp *metrics_http; // the port for /metrics alone; NULL: there is none
    struct bfr_admin_conns *metrics_conns;
    uint16_t metrics_port;
    int wake_fd; // an eventfd; written once, to stop
    uint16_t port;
    bool running; // the thread exists
    pthread_t thread;
};

#define BFR_ADMIN_PARAMETER_MAX 128

// One page. Every GET route also answers HEAD. `handle` sends exactly one reply before it returns, or orders a job that
// will. [admin]
struct bfr_admin_route {
    const char *path; // as it stands in the request, without the query; one part of it may be "{}", the parameter
    enum evhttp_cmd_type method;
    bool guarded;
    void (*handle)(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter);
};

// All of them.
const struct bfr_admin_route *bfr_admin_routes(size_t *out_count);

// evhttp's callback for everything: find the route or refuse. `arg` is the server. (http_admin_route.c)
void bfr_admin_dispatch(struct evhttp_request *request, void *arg);

// The same for the port that has /metrics alone.
void bfr_admin_dispatch_metrics(struct evhttp_request *request, void *arg);

// Replies; each adds the headers that all pages have. (http_admin_reply.c)
void bfr_admin_reply_text(struct evhttp_request *request, int status, const char *text);
// Takes over `json`; NULL (memory was short while it was made) becomes a 500.
void bfr_admin_reply_json(struct evhttp_request *request, int status, json_t *json);
// {"error": ..., "status": ...}
void bfr_admin_reply_error(struct evhttp_request *request, int status, const char *error);
// Takes over `body`, from malloc; NULL becomes a 500.
void bfr_admin_reply_body(struct evhttp_request *request, int status, const char *content_type, char *body,
                          size_t size);

// The head of a reply whose body comes in pieces (evhttp_send_reply_chunk, evhttp_send_reply_end), and ends the connection. False:
// HEAD was asked, and the reply is complete.
bool bfr_admin_reply_stream(struct evhttp_request *request, const char *content_type);

// A text of any bytes as a JSON string; NULL: memory is short. [any]
json_t *bfr_admin_text(const char *text);

typedef void bfr_admin_page(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter);

// The pages. (http_admin_pages.c)
bfr_admin_page bfr_admin_page_livez, bfr_admin_page_readyz, bfr_admin_page_health, bfr_admin_page_metrics;
// The dashboard. (http_admin_embedded.c)
bfr_admin_page bfr_admin_page_dashboard;
// Tenants. (http_admin_tenants.c)
bfr_admin_page bfr_admin_page_tenants, bfr_admin_page_tenant_count, bfr_admin_page_tenant;
// Figures and the log's level. (http_admin_stats.c) The configuration. (http_admin_config.c)
bfr_admin_page bfr_admin_page_stats, bfr_admin_page_level, bfr_admin_page_set_level, bfr_admin_page_config;
// What the queues hold and the sinks do, as a list each. (http_admin_stats.c)
json_t *bfr_admin_queues(const struct bfr_http_admin *admin);
json_t *bfr_admin_sinks(const struct bfr_http_admin *admin);
// What is accepted, as it happens. (http_admin_tail.c)
bfr_admin_page bfr_admin_page_tail;
// How many tenants are known. False: there is a directory of tenants, but it has not been got yet.
bool bfr_admin_directory(const struct bfr_http_admin *admin, uint64_t *out_tenants);
// "ok", "degraded", "failed" of an enum bfr_health_state. (http_admin_pages.c)
const char *bfr_admin_state_name(uint32_t state);
// The API's document, for people and as JSON. (http_admin_embedded.c)
bfr_admin_page bfr_admin_page_docs, bfr_admin_page_openapi;
// Reading the configuration again. (http_admin_reload.c)
bfr_admin_page bfr_admin_page_reload;
// What came of the last reload, for health and stats; NULL: memory is short, or nothing is ever reloaded.
// `details`: with the texts, which name files and keys, for a guarded page.
json_t *bfr_admin_last_reload(const struct bfr_http_admin *admin, bool details);
// The settings in force; they stay until leave. [admin]
const struct bfr_settings *bfr_admin_enter(const struct bfr_http_admin *admin);
void bfr_admin_leave(const struct bfr_http_admin *admin);
// Dead letters. (http_admin_letters.c)
bfr_admin_page bfr_admin_page_letters_stats, bfr_admin_page_letters, bfr_admin_page_letter;
bfr_admin_page bfr_admin_page_retry, bfr_admin_page_purge, bfr_admin_page_purge_tenant;

#endif
