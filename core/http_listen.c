// SPDX-License-Identifier: Apache-2.0
// Sockets, and what to do when they cannot be accepted: pause, never spin.
#include "http_listen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "http_activation.h"
#include "http_socket.h"
#include "log.h"

// libevent gives the error callback evhttp's argument, not ours, so each loop thread keeps a way back to its listeners.
static _Thread_local struct bfr_listeners *of_this_thread;

void bfr_listeners_adopt(struct bfr_listeners *listeners)
{
    of_this_thread = listeners;
}

static bool has_place(const struct bfr_listeners *listeners)
{
    return atomic_load(&listeners->shared->connections) < listeners->shared->connections_max;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bfr_listeners *listeners = arg;
    listeners->paused = false;
    if (!has_place(listeners)) {
        bfr_listeners_pause(listeners, NULL);
        return;
    }
    for (size_t i = 0; i < listeners->count; i++)
        evconnlistener_enable(evhttp_bound_socket_get_listener(listeners->bound[i]));
}

void bfr_listeners_pause(struct bfr_listeners *listeners, const char *why)
{
    static const struct timeval moment = {0, 100000};
    if (listeners->paused)
        return;
    listeners->paused = true;
    for (size_t i = 0; i < listeners->count; i++)
        evconnlistener_disable(evhttp_bound_socket_get_listener(listeners->bound[i]));
    event_add(listeners->pause, &moment);
    if (why != NULL)
        bfr_say(BFR_LOG_WARN, "http", "not accepting connections for a moment", "cause", why, NULL);
}

// accept(2) failed. Whatever the cause, the socket stays readable: without a pause this would spin.
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)listener;
    (void)arg;
    bfr_listeners_pause(of_this_thread, strerror(EVUTIL_SOCKET_ERROR()));
}

uint32_t bfr_listeners_init(struct bfr_listeners *listeners, struct evhttp *http, struct event_base *base,
                            const struct bfr_http_shared *shared, size_t room, struct bfr_err *err)
{
    listeners->http = http;
    listeners->shared = shared;
    listeners->bound = calloc(room, sizeof(struct evhttp_bound_socket *));
    listeners->pause = evtimer_new(base, on_resume, listeners);
    if (listeners->bound == NULL || listeners->pause == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    return BFR_OK;
}

// Takes over `fd`. The backlog of an inherited socket is its owner's.
static uint32_t adopt_socket(struct bfr_listeners *listeners, int fd, struct bfr_err *err)
{
    struct event_base *base = event_get_base(listeners->pause);
    struct evconnlistener *listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (listener == NULL) {
        close(fd);
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    evconnlistener_set_error_cb(listener, on_accept_error);
    struct evhttp_bound_socket *bound = evhttp_bind_listener(listeners->http, listener);
    if (bound == NULL) {
        evconnlistener_free(listener);
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    listeners->bound[listeners->count++] = bound;
    return BFR_OK;
}

uint32_t bfr_listeners_add(struct bfr_listeners *listeners, const char *address, uint16_t port, struct bfr_err *err)
{
    int fd = -1;
    uint32_t status = bfr_socket_bind(&bfr_socket_webhook, address, &port, true, &fd, err);
    if (status == BFR_OK)
        status = bfr_socket_listen(&bfr_socket_webhook, fd, err);
    return status == BFR_OK ? adopt_socket(listeners, fd, err) : status;
}

uint32_t bfr_listeners_inherit(struct bfr_listeners *listeners, size_t index, uint16_t *out_port, struct bfr_err *err)
{
    int fd = bfr_activation_dup(bfr_socket_webhook.name, index);
    if (fd < 0)
        return bfr_err_set(err, BFR_EFAIL, "webhook: cannot use the inherited socket: %s", strerror(errno));
    *out_port = bfr_socket_port(fd);
    listeners->inherited = true;
    return adopt_socket(listeners, fd, err);
}

static bool queue_is_empty(struct evhttp_bound_socket *bound)
{
    struct pollfd poll_fd = {.fd = evhttp_bound_socket_get_fd(bound), .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 0;
}

bool bfr_listeners_close(struct bfr_listeners *listeners, bool force)
{
    size_t kept = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        // What is queued on an inherited socket waits there for whoever gets it next.
        if (force || listeners->inherited || queue_is_empty(listeners->bound[i]))
            evhttp_del_accept_socket(listeners->http, listeners->bound[i]);
        else
            listeners->bound[kept++] = listeners->bound[i];
    }
    listeners->count = kept;
    return kept == 0;
}

void bfr_listeners_fini(struct bfr_listeners *listeners)
{
    // The sockets belong to evhttp.
    free(listeners->bound);
    listeners->bound = NULL;
    listeners->count = 0;
    if (listeners->pause != NULL)
        event_free(listeners->pause);
    listeners->pause = NULL;
}
