// SPDX-License-Identifier: Apache-2.0
// From an address in the configuration to a listening socket. Runs on the main thread, before any loop exists.
#include "http_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bfr/text.h>

// The kernel lowers a backlog to net.core.somaxconn.
const struct bfr_socket_use bfr_socket_webhook = {"webhook", "webhook.bind", "webhook.port", 4096};
const struct bfr_socket_use bfr_socket_api = {"api", "server.bind", "server.api_port", 128};
const struct bfr_socket_use bfr_socket_metrics = {"metrics", "metrics.bind", "metrics.port", 128};

static bool set_option(int fd, int level, int option)
{
    const int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

// SO_REUSEADDR lets a restart follow a stop at once; "::" must not claim the port of "0.0.0.0". TCP_NODELAY is inherited by
// what is accepted: a reply must not wait for the acknowledgement of a 100 Continue.
static int open_bound(const struct addrinfo *at, bool share)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) && set_option(fd, IPPROTO_TCP, TCP_NODELAY) &&
        (!share || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
        (at->ai_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

uint16_t bfr_socket_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {0}};
    socklen_t size = sizeof bound;
    if (getsockname(fd, &bound.any, &size) != 0)
        return 0;
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

static uint32_t refuse(const struct bfr_socket_use *use, const char *address, uint16_t port, int family, int error,
                       struct bfr_err *err)
{
    bool absent = error == EAFNOSUPPORT || (error == EADDRNOTAVAIL && family == AF_INET6);
    uint32_t status = absent ? BFR_ENOTSUP : BFR_EFAIL;
    const char *cause = strerror(error);
    if (error == EADDRINUSE)
        return bfr_err_set(err, status,
                           "cannot listen on %s port %u: %s; stop the process that has it (another receiver?), or "
                           "change %s or %s",
                           address, port, cause, use->bind_key, use->port_key);
    if (error == EACCES)
        return bfr_err_set(err, status,
                           "cannot listen on %s port %u: %s; choose a %s of 1024 or above, or give the service "
                           "CAP_NET_BIND_SERVICE",
                           address, port, cause, use->port_key);
    return bfr_err_set(err, status, "cannot listen on %s port %u: %s; see %s", address, port, cause, use->bind_key);
}

uint32_t bfr_socket_bind(const struct bfr_socket_use *use, const char *address, uint16_t *port, bool share, int *out_fd,
                         struct bfr_err *err)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(address, bfr_num(*port).text, &hints, &found);
    if (failed != 0)
        return bfr_err_set(err, BFR_EINVAL, "%s: '%s' is not an IPv4 or IPv6 address: %s", use->bind_key, address,
                           gai_strerror(failed));
    int fd = open_bound(found, share);
    int error = errno;
    int family = found->ai_family;
    freeaddrinfo(found);
    if (fd < 0)
        return refuse(use, address, *port, family, error, err);
    *port = bfr_socket_port(fd);
    *out_fd = fd;
    return BFR_OK;
}

uint32_t bfr_socket_listen(const struct bfr_socket_use *use, int fd, struct bfr_err *err)
{
    if (listen(fd, use->backlog) == 0)
        return BFR_OK;
    int error = errno;
    uint16_t port = bfr_socket_port(fd);
    close(fd);
    return refuse(use, "port", port, AF_UNSPEC, error, err);
}
