// SPDX-License-Identifier: Apache-2.0
// Shards, buckets and lists of the duplicate memory. Called by pipe_dedup.c with the shard's lock held; calls nobody.
// The number of shards is a compromise: enough that loops and pumps seldom meet, few enough that trimming per shard
// keeps to the limit.
#include "pipe_dedup_table.h"

#include <stdlib.h>
#include <string.h>

#include "bug.h"

void bfr_claims_append(struct bfr_claims *list, struct bfr_claim *claim)
{
    claim->prev = list->tail;
    claim->next = NULL;
    if (list->tail != NULL)
        list->tail->next = claim;
    else
        list->head = claim;
    list->tail = claim;
}

void bfr_claims_remove(struct bfr_claims *list, struct bfr_claim *claim)
{
    if (claim->prev != NULL)
        claim->prev->next = claim->next;
    else
        list->head = claim->next;
    if (claim->next != NULL)
        claim->next->prev = claim->prev;
    else
        list->tail = claim->prev;
    claim->prev = claim->next = NULL;
}

struct bfr_dedup_shard *bfr_dedup_shard(struct bfr_dedup *dedup, uint64_t hash)
{
    return &dedup->shards[hash >> 59]; // 32 shards: the top 5 bits; buckets use the low ones
}

struct bfr_claim *bfr_dedup_find(const struct bfr_dedup_shard *shard, const struct bfr_key *key)
{
    struct bfr_claim *claim = shard->buckets[key->hash & (shard->bucket_count - 1)];
    while (claim != NULL &&
           (claim->hash != key->hash || claim->key_size != key->size || memcmp(claim->key, key->bytes, key->size) != 0))
        claim = claim->chain;
    return claim;
}

// Longer chains are the only harm when there is no memory to grow.
static void buckets_grow(struct bfr_dedup_shard *shard)
{
    size_t bucket_count = 2 * shard->bucket_count;
    struct bfr_claim **buckets = calloc(bucket_count, sizeof(struct bfr_claim *));
    if (buckets == NULL)
        return;
    for (size_t i = 0; i < shard->bucket_count; i++) {
        struct bfr_claim *claim = shard->buckets[i];
        while (claim != NULL) {
            struct bfr_claim *following = claim->chain;
            struct bfr_claim **head = &buckets[claim->hash & (bucket_count - 1)];
            claim->chain = *head;
            *head = claim;
            claim = following;
        }
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = bucket_count;
}

struct bfr_claim *bfr_dedup_add(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, const struct bfr_key *key)
{
    struct bfr_claim *claim = calloc(1, sizeof *claim + key->size);
    if (claim == NULL)
        return NULL;
    claim->hash = key->hash;
    claim->key_size = (uint16_t)key->size;
    memcpy(claim->key, key->bytes, key->size);
    if (shard->count >= shard->bucket_count)
        buckets_grow(shard);
    struct bfr_claim **head = &shard->buckets[key->hash & (shard->bucket_count - 1)];
    claim->chain = *head;
    *head = claim;
    shard->count++;
    atomic_fetch_add_explicit(&dedup->count, 1, memory_order_relaxed);
    return claim;
}

void bfr_dedup_make_open(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim)
{
    bfr_claims_remove(&shard->known, claim);
    atomic_fetch_sub_explicit(&dedup->known, 1, memory_order_relaxed);
    claim->answer = 0;
}

void bfr_dedup_drop(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim)
{
    bfr_must(claim->waiters == NULL);
    if (claim->answer != 0)
        bfr_dedup_make_open(dedup, shard, claim);
    struct bfr_claim **at = &shard->buckets[claim->hash & (shard->bucket_count - 1)];
    while (*at != claim)
        at = &(*at)->chain;
    *at = claim->chain;
    shard->count--;
    atomic_fetch_sub_explicit(&dedup->count, 1, memory_order_relaxed);
    free(claim);
}

void bfr_dedup_make_known(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim,
                          uint64_t known_ns)
{
    claim->known_ns = known_ns;
    bfr_claims_append(&shard->known, claim);
    atomic_fetch_add_explicit(&dedup->known, 1, memory_order_relaxed);
}

void bfr_dedup_trim(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, uint64_t now)
{
    uint64_t window_ns = atomic_load_explicit(&dedup->window_ms, memory_order_relaxed) * BFR_NS_PER_MS;
    // NOLINTBEGIN(clang-analyzer-unix.Malloc): bfr_dedup_drop takes the claim off the list before it frees it
    for (;;) {
        struct bfr_claim *oldest = shard->known.head;
        if (oldest == NULL)
            return;
        bool over = atomic_load_explicit(&dedup->known, memory_order_relaxed) >
                    atomic_load_explicit(&dedup->max_entries, memory_order_relaxed);
        if (!over && now - oldest->known_ns < window_ns)
            return;
        bfr_must(oldest->answer != 0);
        bfr_dedup_drop(dedup, shard, oldest);
    }
    // NOLINTEND(clang-analyzer-unix.Malloc)
}

void bfr_dedup_limit(struct bfr_dedup *dedup, uint64_t window_ms, uint32_t max_entries)
{
    atomic_store(&dedup->window_ms, window_ms);
    atomic_store(&dedup->max_entries, max_entries);
}

struct bfr_dedup *bfr_dedup_new(const struct bfr_dedup_setup *setup)
{
    struct bfr_dedup *dedup = aligned_alloc(64, (sizeof *dedup + 63) / 64 * 64);
    if (dedup == NULL)
        return NULL;
    memset(dedup, 0, sizeof *dedup);
    dedup->set = *setup;
    bfr_dedup_limit(dedup, setup->window_ms, setup->max_entries);
    bool ok = bfr_hash_seed_init(&dedup->seed);
    for (size_t i = 0; i < BFR_DEDUP_SHARDS; i++) {
        struct bfr_dedup_shard *shard = &dedup->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->bucket_count = 16;
        shard->buckets = calloc(shard->bucket_count, sizeof(struct bfr_claim *));
        ok = ok && shard->buckets != NULL;
    }
    if (!ok) {
        bfr_dedup_free(dedup);
        return NULL;
    }
    return dedup;
}

static void chain_free(struct bfr_claim *claim)
{
    while (claim != NULL) {
        struct bfr_claim *following = claim->chain;
        free(claim);
        claim = following;
    }
}

void bfr_dedup_free(struct bfr_dedup *dedup)
{
    if (dedup == NULL)
        return;
    for (size_t i = 0; i < BFR_DEDUP_SHARDS; i++) {
        struct bfr_dedup_shard *shard = &dedup->shards[i];
        for (size_t j = 0; shard->buckets != NULL && j < shard->bucket_count; j++)
            chain_free(shard->buckets[j]);
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(dedup);
}

size_t bfr_dedup_count(struct bfr_dedup *dedup)
{
    return atomic_load_explicit(&dedup->count, memory_order_relaxed);
}
