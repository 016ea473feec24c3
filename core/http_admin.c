// SPDX-License-Identifier: Apache-2.0
// The life of the API port: sockets, event base, thread. new, start, stop and free run on the main thread, everything
// else on the one admin thread, so nothing here but `unready` needs a lock or an atomic. Never touches ingest.
#include "http_admin.h"

#include <errno.h>
#include <signal.h>
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
#include "http_admin_listen.h"
#include "http_admin_state.h"
#include "log.h"

#define CONNECTIONS_MAX 256
#define TIMEOUT_S       10 // of silence (evhttp's) and of a connection's life between two requests (ours)
#define HEAD_MAX        16384
#define BODY_MAX        16384

static void on_wake(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    event_base_loopbreak(arg);
}

static void *run(void *arg)
{
    struct bfr_http_admin *admin = arg;
    event_base_dispatch(admin->base);
    return NULL;
}

static uint32_t add_listener(struct bfr_http_admin *admin, const char *address, struct bfr_err *err)
{
    int fd = -1;
    uint32_t status = bfr_admin_listen(address, &admin->port, &fd, err);
    if (status != BFR_OK)
        return status;
    struct evconnlistener *listener =
        evconnlistener_new(admin->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (listener == NULL) {
        close(fd);
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    }
    if (bfr_admin_conns_listener(admin->conns, listener) != 0) {
        evconnlistener_free(listener);
        return bfr_err_set(err, BFR_EINVAL, "server.bind: too many addresses; leave some out, or use 0.0.0.0 and ::");
    }
    if (evhttp_bind_listener(admin->http, listener) == NULL) {
        evconnlistener_free(listener);
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    }
    return BFR_OK;
}

// A machine without IPv6 (or IPv4) is served on what it has, as long as that is something.
static uint32_t add_listeners(struct bfr_http_admin *admin, struct bfr_err *err)
{
    const struct bfr_settings *settings = admin->setup.settings;
    size_t served = 0;
    uint32_t status = BFR_OK;
    for (size_t i = 0; i < settings->server.bind_count; i++) {
        status = add_listener(admin, settings->server.bind[i], err);
        if (status == BFR_OK)
            served++;
        else if (status == BFR_ENOTSUP)
            bfr_say(BFR_LOG_WARN, "api", "an address is not served", "error", err->text, NULL);
        else
            return status;
    }
    return served > 0 ? BFR_OK : status;
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

static uint32_t set_up(struct bfr_http_admin *admin, struct bfr_err *err)
{
    admin->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (admin->wake_fd < 0)
        return bfr_err_set(err, BFR_EFAIL, "API: cannot make an eventfd: %s", strerror(errno));
    admin->base = new_base();
    if (admin->base != NULL)
        admin->http = evhttp_new(admin->base);
    if (admin->http != NULL)
        admin->conns = bfr_admin_conns_new(admin->base, admin->http, CONNECTIONS_MAX, TIMEOUT_S * 1000);
    if (admin->conns != NULL)
        admin->wake = event_new(admin->base, admin->wake_fd, EV_READ, on_wake, admin->base);
    if (admin->wake == NULL || event_add(admin->wake, NULL) != 0)
        return bfr_err_set(err, BFR_ENOMEM, "API: out of memory");
    evhttp_set_timeout(admin->http, TIMEOUT_S);
    evhttp_set_max_headers_size(admin->http, HEAD_MAX);
    evhttp_set_max_body_size(admin->http, BODY_MAX);
    evhttp_set_allowed_methods(admin->http, UINT16_MAX); // all: our 405 instead of evhttp's 501 page
    evhttp_set_gencb(admin->http, bfr_admin_dispatch, admin);
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
    admin->wake_fd = -1;
    uint32_t status = set_up(admin, err);
    if (status == BFR_OK)
        status = add_listeners(admin, err);
    if (status == BFR_OK)
        *out = admin;
    else
        bfr_http_admin_free(admin);
    return status;
}

uint32_t bfr_http_admin_start(struct bfr_http_admin *admin, struct bfr_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all,
                    &before); // signals are the main thread's; a write to a closed socket raises none
    int error = pthread_create(&admin->thread, NULL, run, admin);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return bfr_err_set(err, BFR_EFAIL, "API: cannot start a thread: %s", strerror(error));
    (void)pthread_setname_np(admin->thread, "admin");
    admin->running = true;
    return BFR_OK;
}

uint16_t bfr_http_admin_port(const struct bfr_http_admin *admin)
{
    return admin->port;
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
}

void bfr_http_admin_free(struct bfr_http_admin *admin)
{
    if (admin == NULL)
        return;
    bfr_http_admin_stop(admin);
    if (admin->conns != NULL)
        bfr_admin_conns_close(admin->conns);
    if (admin->http != NULL)
        evhttp_free(admin->http); // listeners and connections too
    bfr_admin_conns_free(admin->conns);
    if (admin->wake != NULL)
        event_free(admin->wake);
    if (admin->base != NULL)
        event_base_free(admin->base);
    if (admin->wake_fd >= 0)
        close(admin->wake_fd);
    free(admin);
}
