// SPDX-License-Identifier: Apache-2.0
// From an address in the configuration to a listening socket. Runs on the main thread, before the admin thread exists.
#include "http_admin_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bfr/text.h>

#define BACKLOG 128

static int open_socket(const struct addrinfo *at)
{
    const int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    // Restart at once, though connections of the last life linger; and "::" must not claim the port of "0.0.0.0".
    int failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (failed == 0 && at->ai_family == AF_INET6)
        failed = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (failed == 0)
        failed = bind(fd, at->ai_addr, at->ai_addrlen);
    if (failed == 0)
        failed = listen(fd, BACKLOG);
    if (failed == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static uint16_t port_of(int fd)
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

static const char *way_out(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "stop the process that has it, or choose another server.api_port";
    case EACCES:
        return "choose a server.api_port of 1024 or above, or give the service CAP_NET_BIND_SERVICE";
    default:
        return "see server.bind";
    }
}

uint32_t bfr_admin_listen(const char *address, uint16_t *port, int *out_fd, struct bfr_err *err)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)*port);
    int failed = getaddrinfo(address, service, &hints, &found);
    if (failed != 0)
        return bfr_err_set(err, BFR_EINVAL, "server.bind: '%s' is not an IPv4 or IPv6 address: %s", address,
                           gai_strerror(failed));
    int fd = open_socket(found);
    int error = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return bfr_err_set(err, error == EAFNOSUPPORT ? BFR_ENOTSUP : BFR_EFAIL,
                           "API: cannot listen on %s port %u: %s; %s", address, (unsigned)*port, strerror(error),
                           way_out(error));
    *port = port_of(fd);
    *out_fd = fd;
    return BFR_OK;
}
