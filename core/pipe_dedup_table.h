// SPDX-License-Identifier: Apache-2.0
// The table under the duplicate memory: shards, buckets, lists. For pipe_dedup.c, which knows what a claim means. All
// calls but bfr_dedup_shard need the shard's lock.
#ifndef BFR_CORE_PIPE_DEDUP_TABLE_H
#define BFR_CORE_PIPE_DEDUP_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipe_dedup.h"
#include "pipe_key.h"

#define BFR_DEDUP_SHARDS 32

// `prev` and `next` link the claim into one list of its shard: `waiting` while someone waits for it, `known` once it is
// final; a pinned claim nobody waits for is in neither.
struct bfr_claim {
    struct bfr_claim *chain; // in its bucket
    struct bfr_claim *prev, *next;
    struct bfr_waiter *waiters; // in order of arrival
    struct bfr_waiter *first;   // the one whose batch it is, while it waits
    uint64_t hash;
    uint64_t known_ns;   // monotonic; when it became final
    int64_t received_ns; // of the batch
    uint8_t sha256[32];  // of the bytes as sent
    uint8_t level;       // reached so far
    uint8_t answer;      // once final, for the same bytes; 0 before
    bool pending;        // the intake still owns it
    bool settled_buried; // a dead letter
    bool conflict;       // a consumer buried it for conflict
    uint16_t key_size;
    char key[];
};

struct bfr_claims {
    struct bfr_claim *head, *tail;
};

struct bfr_dedup_shard {
    pthread_mutex_t lock;
    struct bfr_claim **buckets;
    size_t bucket_count; // power of two
    size_t count;
    struct bfr_claims waiting, known;
} __attribute__((aligned(64))); // a cache line each

struct bfr_dedup {
    struct bfr_dedup_shard shards[BFR_DEDUP_SHARDS];
    struct bfr_dedup_setup set; // but for its limits, which a reload may change:
    _Atomic uint64_t window_ms;
    _Atomic uint32_t max_entries;
    struct bfr_hash_seed seed;
    atomic_size_t count; // all claims
    atomic_size_t known; // those in the shards' `known` lists: what max_entries bounds
};

struct bfr_dedup_shard *bfr_dedup_shard(struct bfr_dedup *dedup, uint64_t hash);

struct bfr_claim *bfr_dedup_find(const struct bfr_dedup_shard *shard, const struct bfr_key *key);
// A claim of that key, all else zero; NULL when memory is short. The key must not be there yet.
struct bfr_claim *bfr_dedup_add(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, const struct bfr_key *key);
// Out of every list and freed. Its waiters must have been taken off.
void bfr_dedup_drop(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim);
// A claim that became final now (`known_ns`) begins its window.
void bfr_dedup_make_known(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim,
                          uint64_t known_ns);
// A final claim is not final any more.
void bfr_dedup_make_open(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim);
// Forget what is older than the window, and the oldest while too many are known.
void bfr_dedup_trim(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, uint64_t now);

void bfr_claims_append(struct bfr_claims *list, struct bfr_claim *claim);
void bfr_claims_remove(struct bfr_claims *list, struct bfr_claim *claim);

#endif
