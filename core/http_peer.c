// SPDX-License-Identifier: Apache-2.0
// One form for the addresses of both families. Pure but for getpeername.
#include "http_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "config_cidr.h"

static bool is_mapped(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address, prefix, sizeof prefix) == 0;
}

void bfr_peer_set(struct bfr_peer *peer, const uint8_t address[16], uint16_t port)
{
    memmove(peer->address, address, sizeof peer->address);
    peer->port = port;
    if (is_mapped(address))
        inet_ntop(AF_INET, peer->address + 12, peer->text, sizeof peer->text);
    else
        inet_ntop(AF_INET6, peer->address, peer->text, sizeof peer->text);
}

bool bfr_peer_of_socket(int fd, struct bfr_peer *out)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } from = {.v6 = {0}};
    socklen_t size = sizeof from;
    uint8_t mapped[16];
    memset(out, 0, sizeof *out);
    memcpy(out->text, "unknown", sizeof "unknown");
    if (getpeername(fd, &from.any, &size) != 0)
        return false;
    if (from.any.sa_family == AF_INET) {
        bfr_cidr_map_v4((const uint8_t *)&from.v4.sin_addr, mapped);
        bfr_peer_set(out, mapped, ntohs(from.v4.sin_port));
    } else if (from.any.sa_family == AF_INET6) {
        bfr_peer_set(out, from.v6.sin6_addr.s6_addr, ntohs(from.v6.sin6_port));
    } else {
        return false;
    }
    return true;
}
