// SPDX-License-Identifier: Apache-2.0
// A hash table with chains under one lock, touched at the birth and the end of a connection only.
#include "http_peers.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"

#define BUCKETS 4096u

struct bfr_peer {
    struct bfr_peer *next;
    uint8_t key[8]; // of IPv6 the network; of IPv4 the address, behind a prefix that no network has
    uint32_t count;
};

struct bfr_peers {
    pthread_mutex_t lock;
    uint32_t most;
    struct bfr_peer *buckets[BUCKETS];
};

struct bfr_peers *bfr_peers_new(uint32_t most)
{
    struct bfr_peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL)
        return NULL;
    pthread_mutex_init(&peers->lock, NULL);
    peers->most = most;
    return peers;
}

void bfr_peers_limit(struct bfr_peers *peers, uint32_t most)
{
    pthread_mutex_lock(&peers->lock);
    peers->most = most;
    pthread_mutex_unlock(&peers->lock);
}

void bfr_peers_free(struct bfr_peers *peers)
{
    if (peers == NULL)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        bfr_must(peers->buckets[i] == NULL);
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

static bool read_key(const char *address, uint8_t key[8])
{
    struct in6_addr six;
    memset(key, 0xff, 4);
    if (inet_pton(AF_INET, address, key + 4) == 1)
        return true;
    if (inet_pton(AF_INET6, address, &six) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&six))
        memcpy(key + 4, six.s6_addr + 12, 4);
    else
        memcpy(key, six.s6_addr, 8);
    return true;
}

// The link that points to the entry, or to the end of its chain.
static struct bfr_peer **find(struct bfr_peers *peers, const uint8_t key[8])
{
    uint32_t hash = 2166136261u; // FNV-1a
    for (unsigned i = 0; i < 8; i++)
        hash = (hash ^ key[i]) * 16777619u;
    struct bfr_peer **link = &peers->buckets[hash % BUCKETS];
    while (*link != NULL && memcmp((*link)->key, key, 8) != 0)
        link = &(*link)->next;
    return link;
}

bool bfr_peers_enter(struct bfr_peers *peers, const char *address, struct bfr_peer **out)
{
    uint8_t key[8];
    *out = NULL;
    if (!read_key(address, key))
        return true;
    pthread_mutex_lock(&peers->lock);
    struct bfr_peer **link = find(peers, key);
    if (*link == NULL) {
        *link = calloc(1, sizeof **link);
        if (*link != NULL)
            memcpy((*link)->key, key, sizeof key);
    }
    struct bfr_peer *peer = *link;
    bool entered = peers->most == 0 || (peer != NULL && peer->count < peers->most);
    if (entered && peer != NULL) {
        peer->count++;
        *out = peer;
    }
    pthread_mutex_unlock(&peers->lock);
    return entered;
}

void bfr_peers_leave(struct bfr_peers *peers, struct bfr_peer *peer)
{
    if (peer == NULL)
        return;
    pthread_mutex_lock(&peers->lock);
    if (--peer->count == 0) {
        struct bfr_peer **link = find(peers, peer->key);
        *link = peer->next;
        free(peer);
    }
    pthread_mutex_unlock(&peers->lock);
}
