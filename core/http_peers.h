// SPDX-License-Identifier: Apache-2.0
// Connections per client address, for all loops: webhook.max_connections_per_address. An IPv6 client owns a /64, so those
// count as one. Holds an entry per address only while it has connections.
#ifndef BFR_CORE_HTTP_PEERS_H
#define BFR_CORE_HTTP_PEERS_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_peers;
struct bfr_peer;

// `most` per address, 0 = no limit: they are counted all the same, for a limit that may come. NULL when memory is short.
struct bfr_peers *bfr_peers_new(uint32_t most);
void bfr_peers_limit(struct bfr_peers *peers, uint32_t most); // for those who come from now on [any]
void bfr_peers_free(struct bfr_peers *peers);                 // nobody may be in it; NULL is allowed

// One connection from `address`, an IPv4 or IPv6 address as text. False: it has too many already, or memory is short.
// *out is to be given to leave; NULL for what is no address, which is not counted. [any]
bool bfr_peers_enter(struct bfr_peers *peers, const char *address, struct bfr_peer **out);
void bfr_peers_leave(struct bfr_peers *peers, struct bfr_peer *peer); // NULL is allowed [any]

#endif
