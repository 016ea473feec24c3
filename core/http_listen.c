// SPDX-License-Identifier: Apache-2.0
// Sockets, and what to do when they cannot be accepted: pause, never spin.
#include "http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "log.h"

#define BACKLOG 4096 // the kernel lowers it to net.core.somaxconn

static uint32_t resolve(const char *address, uint16_t port, struct addrinfo **out, struct bfr_err *err)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST};
    int failed = getaddrinfo(address, bfr_num(port).text, &hints, out);
    if (failed == 0)
        return BFR_OK;
    return bfr_err_set(err, BFR_EINVAL, "webhook.bind: '%s' is not an IPv4 or IPv6 address: %s", address,
                       gai_strerror(failed));
}

static bool set_option(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

// A bound socket. SO_REUSEADDR lets a restart follow a stop at once.
static uint32_t bind_socket(const char *address, uint16_t port, bool share, int *out_fd, struct bfr_err *err)
{
    struct addrinfo *info = NULL;
    uint32_t status = resolve(address, port, &info, err);
    if (status != BFR_OK)
        return status;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        status = errno == EAFNOSUPPORT ? BFR_ENOTSUP : BFR_EFAIL;
        bfr_err_set(err, status, "cannot open a socket for '%s': %s", address, strerror(errno));
        goto out;
    }
    // TCP_NODELAY is inherited by what is accepted: a reply must not wait for the acknowledgement of a 100 Continue.
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR) && set_option(fd, IPPROTO_TCP, TCP_NODELAY) &&
              (!share || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
              (info->ai_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
              bind(fd, info->ai_addr, info->ai_addrlen) == 0;
    if (!ok) {
        bool absent = errno == EADDRNOTAVAIL && info->ai_family == AF_INET6;
        status = absent ? BFR_ENOTSUP : BFR_EFAIL;
        bfr_err_set(err, status,
                    "cannot listen on %s port %u: %s; is another receiver running? Change webhook.bind or webhook.port",
                    address, port, strerror(errno));
        goto out;
    }
    *out_fd = fd;
    fd = -1;
    status = BFR_OK;
out:
    if (fd >= 0)
        close(fd);
    freeaddrinfo(info);
    return status;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 address = {0}; // the port lies in the same place in both families
    _Static_assert(offsetof(struct sockaddr_in6, sin6_port) == offsetof(struct sockaddr_in, sin_port), "one port");
    socklen_t size = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 ? ntohs(address.sin6_port) : 0;
}

uint32_t bfr_listen_probe(const char *address, uint16_t *port, struct bfr_err *err)
{
    int fd = -1;
    uint32_t status = bind_socket(address, *port, false, &fd, err);
    if (status != BFR_OK)
        return status;
    if (*port == 0)
        *port = port_of(fd);
    close(fd);
    return BFR_OK;
}

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

uint32_t bfr_listeners_add(struct bfr_listeners *listeners, const char *address, uint16_t port, struct bfr_err *err)
{
    int fd = -1;
    uint32_t status = bind_socket(address, port, true, &fd, err);
    if (status != BFR_OK)
        return status;
    struct event_base *base = event_get_base(listeners->pause);
    struct evconnlistener *listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
    if (listener == NULL) {
        status = bfr_err_set(err, BFR_EFAIL, "cannot listen on %s port %u: %s", address, port, strerror(errno));
        close(fd);
        return status;
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

static bool queue_is_empty(struct evhttp_bound_socket *bound)
{
    struct pollfd poll_fd = {.fd = evhttp_bound_socket_get_fd(bound), .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 0;
}

bool bfr_listeners_close(struct bfr_listeners *listeners, bool force)
{
    size_t kept = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        if (force || queue_is_empty(listeners->bound[i]))
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
