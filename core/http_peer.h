// SPDX-License-Identifier: Apache-2.0
// The address of a client: of the socket's other end, or what a trusted balancer says it is.
#ifndef BFR_CORE_HTTP_PEER_H
#define BFR_CORE_HTTP_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_peer {
    uint8_t address[16]; // IPv4 as ::ffff:a.b.c.d, so equal clients have equal bytes
    uint16_t port;
    char text[48]; // without the port; an IPv4 address in its usual form
};

void bfr_peer_set(struct bfr_peer *peer, const uint8_t address[16], uint16_t port);
// False when the socket's other end has no IP address or is gone; the peer is then "unknown".
bool bfr_peer_of_socket(int fd, struct bfr_peer *out);

#endif
