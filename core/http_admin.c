// SPDX-License-Identifier: Apache-2.0
// The life of the API port: sockets, event base, thread. new, start, stop and free run on the main thread, everything
// else on the one admin thread, so nothing here but `unready` needs a lock or an atomic. Never touches ingest.
#include "http_admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include <bfr/text.h>

#include "bug.h"
#include "clock.h"
#include "http_admin_conn.h"
#include "http_activation.h"
#include "http_admin_state.h"
#include "http_admin_tail.h"
#include "http_admin_work.h"
#include "http_socket.h"
#include "http_tls_context.h"
#include "log.h"
#include "thread.h"

#define CONNECTIONS_MAX 256
#define TIMEOUT_S       10 // of silence (evhttp's) and of a connection's life between two requests (ours)
#define GOODBYE_S       1
#define HEAD_MAX        16384
#define BODY_MAX        16384

static void leave_loop(void *arg)
{
    const struct bfr_http_admin *admin = arg;
    event_base_loopbreak(admin->base);
}

// Those who follow what is accepted see the end of it, if they read it soon.
static void on_wake(evutil_socket_t fd, short events, void *arg)
{
    static const struct timeval soon = {GOODBYE_S, 0};
    struct bfr_http_admin *admin = arg;
    (void)fd, (void)events;
    if (!bfr_admin_tails_end(admin->tails, leave_loop, admin) || event_base_loopexit(admin->base, &soon) != 0)
        leave_loop(admin);
}

static void *run(void *arg)
{
    struct bfr_http_admin *admin = arg;
    event_base_dispatch(admin->base);
    return NULL;
}

// One of the two ports: the API's, or that of the metrics.
struct port {
    const struct bfr_socket_use *use;
    struct evhttp *http;
    struct bfr_admin_conns *conns;
    const char *const *bind;
    size_t bind_count;
    uint16_t *port; // 0 becomes the one that was found
};

static uint32_t adopt_socket(const struct port *port, struct event_base *base, int fd, struct bfr_err *err)
{
    struct evconnlistener *listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (listener == NULL) {
        close(fd);
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    }
    if (bfr_admin_conns_listener(port->conns, listener) != 0) {
        evconnlistener_free(listener);
        return bfr_err_set(err, BFR_EINVAL,
                           "%s: too many addresses; leave some out, or use 0.0.0.0 and ::", port->use->bind_key);
    }
    if (evhttp_bind_listener(port->http, listener) == NULL) {
        evconnlistener_free(listener);
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    }
    return BFR_OK;
}

static uint32_t add_inherited(const struct port *port, struct event_base *base, struct bfr_err *err)
{
    uint32_t status = BFR_OK;
    for (size_t i = 0; status == BFR_OK && i < bfr_activation_count(port->use->name); i++) {
        int fd = bfr_activation_dup(port->use->name, i);
        status = fd < 0 ? bfr_err_set(err, BFR_EFAIL, "%s: cannot use the inherited socket: %s", port->use->name,
                                      strerror(errno))
                        : BFR_OK;
        if (status == BFR_OK) {
            *port->port = bfr_socket_port(fd);
            status = adopt_socket(port, base, fd, err);
        }
    }
    if (status == BFR_OK)
        bfr_say(BFR_LOG_INFO, port->use->name,
                "sockets were handed over; the configured addresses and port are not used", "instead_of",
                port->use->bind_key, NULL);
    return status;
}

// A machine without IPv6 (or IPv4) is served on what it has, as long as that is something.
static uint32_t add_listeners(const struct port *port, struct event_base *base, struct bfr_err *err)
{
    if (bfr_activation_count(port->use->name) > 0)
        return add_inherited(port, base, err);
    size_t served = 0;
    uint32_t status = BFR_OK;
    for (size_t i = 0; i < port->bind_count; i++) {
        int fd = -1;
        status = bfr_socket_bind(port->use, port->bind[i], port->port, false, &fd, err);
        if (status == BFR_OK)
            status = bfr_socket_listen(port->use, fd, err);
        if (status == BFR_OK)
            status = adopt_socket(port, base, fd, err);
        if (status == BFR_OK)
            served++;
        else if (status == BFR_ENOTSUP)
            bfr_say(BFR_LOG_WARN, "api", "an address is not served", "error", err->text, NULL);
        else
            return status;
    }
    return served > 0 ? BFR_OK : status;
}

static uint32_t listen_everywhere(struct bfr_http_admin *admin, struct bfr_err *err)
{
    const struct bfr_settings *settings = admin->setup.settings;
    const struct port api = {.use = &bfr_socket_api,
                             .http = admin->http,
                             .conns = admin->conns,
                             .bind = settings->server.bind,
                             .bind_count = settings->server.bind_count,
                             .port = &admin->port};
    const struct port metrics = {.use = &bfr_socket_metrics,
                                 .http = admin->metrics_http,
                                 .conns = admin->metrics_conns,
                                 .bind = settings->metrics.bind,
                                 .bind_count = settings->metrics.bind_count,
                                 .port = &admin->metrics_port};
    uint32_t status = add_listeners(&api, admin->base, err);
    if (status == BFR_OK && admin->metrics_http != NULL)
        status = add_listeners(&metrics, admin->base, err);
    return status;
}

// One thread uses the base, and the eventfd wakes it: no locks needed in libevent.
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static struct evhttp *new_http(struct bfr_http_admin *admin,
                               void (*dispatch)(struct evhttp_request *request, void *arg))
{
    struct evhttp *http = evhttp_new(admin->base);
    if (http == NULL)
        return NULL;
    evhttp_set_timeout(http, TIMEOUT_S);
    evhttp_set_max_headers_size(http, HEAD_MAX);
    evhttp_set_max_body_size(http, BODY_MAX);
    evhttp_set_allowed_methods(http, UINT16_MAX); // all: our 405 instead of evhttp's 501 page
    evhttp_set_gencb(http, dispatch, admin);
    return http;
}

// True as well when no port of its own is wanted.
static bool set_up_metrics(struct bfr_http_admin *admin)
{
    if (admin->metrics_port == 0 && bfr_activation_count(bfr_socket_metrics.name) == 0)
        return true;
    admin->metrics_http = new_http(admin, bfr_admin_dispatch_metrics);
    if (admin->metrics_http != NULL)
        admin->metrics_conns =
            bfr_admin_conns_new(admin->base, admin->metrics_http, CONNECTIONS_MAX, TIMEOUT_S * 1000, NULL, NULL);
    return admin->metrics_conns != NULL;
}

static bool count_handshakes(struct bfr_http_admin *admin, struct bfr_series **out)
{
    struct bfr_metric *metric = bfr_metrics_register(
        admin->setup.metrics, BFR_METRIC_COUNTER, "bytefreezer_receiver_api_handshakes_failed_total",
        "TLS handshakes on the API's port that failed or were not finished.", NULL);
    *out = metric == NULL ? NULL : bfr_metric_series(metric, NULL);
    return *out != NULL;
}

static uint32_t set_up(struct bfr_http_admin *admin, struct bfr_err *err)
{
    uint32_t status = bfr_tls_new(&admin->setup.settings->server.tls, "server.tls", &admin->tls, err);
    if (status != BFR_OK)
        return status;
    admin->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->wake_fd < 0)
        return bfr_err_set(err, BFR_EFAIL, "API: cannot make an eventfd: %s", strerror(errno));
    admin->base = new_base();
    if (admin->base != NULL)
        admin->http = new_http(admin, bfr_admin_dispatch);
    struct bfr_series *failed = NULL;
    if (admin->http != NULL && (admin->tls == NULL || count_handshakes(admin, &failed)))
        admin->conns =
            bfr_admin_conns_new(admin->base, admin->http, CONNECTIONS_MAX, TIMEOUT_S * 1000, admin->tls, failed);
    if (admin->conns != NULL && set_up_metrics(admin))
        admin->wake = event_new(admin->base, admin->wake_fd, EV_READ, on_wake, admin);
    if (admin->wake != NULL && (admin->tails = bfr_admin_tails_new(admin)) != NULL)
        admin->work = bfr_admin_work_new(admin);
    if (admin->work == NULL || event_add(admin->wake, NULL) != 0)
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    return BFR_OK;
}

uint32_t bfr_http_admin_new(const struct bfr_admin_setup *setup, struct bfr_http_admin **out, struct bfr_err *err)
{
    struct bfr_http_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    admin->setup = *setup;
    admin->born_ns = bfr_clock_now(&bfr_clock_system);
    admin->port = setup->settings->server.api_port;
    admin->metrics_port = setup->settings->metrics.port;
    admin->wake_fd = -1;
    uint32_t status = set_up(admin, err);
    if (status == BFR_OK)
        status = listen_everywhere(admin, err);
    if (status == BFR_OK)
        *out = admin;
    else
        bfr_http_admin_free(admin);
    return status;
}

uint32_t bfr_http_admin_start(struct bfr_http_admin *admin, struct bfr_err *err)
{
    uint32_t status = bfr_admin_work_start(admin->work, err);
    if (status != BFR_OK)
        return status;
    int error = bfr_thread_start(&admin->thread, "admin", run, admin);
    if (error != 0)
        return bfr_err_set(err, BFR_EFAIL, "API: cannot start a thread: %s", strerror(error));
    admin->running = true;
    return BFR_OK;
}

uint16_t bfr_http_admin_port(const struct bfr_http_admin *admin)
{
    return admin->port;
}

uint16_t bfr_http_admin_metrics_port(const struct bfr_http_admin *admin)
{
    return admin->metrics_http != NULL ? admin->metrics_port : 0;
}

uint32_t bfr_http_admin_prepare(struct bfr_http_admin *admin, const struct bfr_tls_settings *settings, SSL_CTX **out,
                                struct bfr_err *err)
{
    return bfr_tls_prepare(admin->tls, settings, out, err);
}

void bfr_http_admin_adopt(struct bfr_http_admin *admin, SSL_CTX *context)
{
    bfr_tls_exchange(admin->tls, context);
}

void bfr_http_admin_abandon(SSL_CTX *context)
{
    SSL_CTX_free(context);
}

bool bfr_http_admin_turns(struct bfr_http_admin *admin)
{
    return bfr_admin_work_turns(admin->work);
}

void bfr_http_admin_unready(struct bfr_http_admin *admin, const char *reason)
{
    atomic_store(&admin->unready, reason);
}

void bfr_http_admin_stop(struct bfr_http_admin *admin)
{
    if (!admin->running)
        return;
    bfr_must(eventfd_write(admin->wake_fd, 1) == 0);
    pthread_join(admin->thread, NULL);
    admin->running = false;
    bfr_admin_work_free(admin->work); // what waits for it is answered by the end of its connection
    admin->work = NULL;
}

void bfr_http_admin_free(struct bfr_http_admin *admin)
{
    if (admin == NULL)
        return;
    bfr_http_admin_stop(admin);
    bfr_admin_work_free(admin->work);
    bfr_admin_tails_free(admin->tails);
    if (admin->conns != NULL)
        bfr_admin_conns_close(admin->conns);
    if (admin->metrics_conns != NULL)
        bfr_admin_conns_close(admin->metrics_conns);
    if (admin->http != NULL)
        evhttp_free(admin->http); // listeners and connections too
    if (admin->metrics_http != NULL)
        evhttp_free(admin->metrics_http);
    bfr_admin_conns_free(admin->conns);
    bfr_admin_conns_free(admin->metrics_conns);
    if (admin->wake != NULL)
        event_free(admin->wake);
    if (admin->base != NULL)
        event_base_free(admin->base);
    if (admin->wake_fd >= 0)
        close(admin->wake_fd);
    bfr_tls_free(admin->tls);
    free(admin);
}
