// SPDX-License-Identifier: Apache-2.0
// The duplicate memory: a hash table in shards, each with its own mutex, called from loops and pumps. No waiter is
// answered and nobody called while a lock is held: answers are gathered under the lock and given after it.
//
// Identity. The pipeline finds a claim again by the batch's key, because the batch that a queue lends may be another object
// than the one submitted. Key, hash of the bytes and time of arrival together tell it from an earlier batch of the same
// name whose claim has run out of the window.
#include "pipe_dedup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "pipe_key.h"

#define SHARDS 32

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

struct list {
    struct bfr_claim *head, *tail;
};

struct shard {
    pthread_mutex_t lock;
    struct bfr_claim **buckets;
    size_t bucket_count; // power of two
    size_t count;
    struct list waiting, known;
} __attribute__((aligned(64))); // a cache line each

struct bfr_dedup {
    struct shard shards[SHARDS];
    struct bfr_dedup_setup set;
    struct bfr_hash_seed seed;
    atomic_size_t count;
};

// Waiters to be answered once the lock is released.
struct answers {
    struct bfr_waiter *list;
    struct bfr_waiter *first;
    uint32_t answer;
    const char *text;
};

// --- lists and buckets, under the shard's lock

static void list_append(struct list *list, struct bfr_claim *claim)
{
    claim->prev = list->tail;
    claim->next = NULL;
    if (list->tail != NULL)
        list->tail->next = claim;
    else
        list->head = claim;
    list->tail = claim;
}

static void list_remove(struct list *list, struct bfr_claim *claim)
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

static struct shard *shard_of(struct bfr_dedup *dedup, uint64_t hash)
{
    return &dedup->shards[hash >> 59]; // 32 shards: the top 5 bits; buckets use the low ones
}

static struct bfr_claim *claim_find(const struct shard *shard, const struct bfr_key *key)
{
    struct bfr_claim *claim = shard->buckets[key->hash & (shard->bucket_count - 1)];
    while (claim != NULL &&
           (claim->hash != key->hash || claim->key_size != key->size || memcmp(claim->key, key->bytes, key->size) != 0))
        claim = claim->chain;
    return claim;
}

// Longer chains are the only harm when there is no memory to grow.
static void buckets_grow(struct shard *shard)
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

static struct bfr_claim *claim_add(struct bfr_dedup *dedup, struct shard *shard, const struct bfr_key *key)
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

// Out of every list and freed. Its waiters must have been taken off.
static void claim_drop(struct bfr_dedup *dedup, struct shard *shard, struct bfr_claim *claim)
{
    bfr_must(claim->waiters == NULL);
    if (claim->answer != 0)
        list_remove(&shard->known, claim);
    struct bfr_claim **at = &shard->buckets[claim->hash & (shard->bucket_count - 1)];
    while (*at != claim)
        at = &(*at)->chain;
    *at = claim->chain;
    shard->count--;
    atomic_fetch_sub_explicit(&dedup->count, 1, memory_order_relaxed);
    free(claim);
}

// Forget what is older than the window, and the oldest while there are too many.
static void shard_trim(struct bfr_dedup *dedup, struct shard *shard, uint64_t now)
{
    uint64_t window_ns = dedup->set.window_ms * BFR_NS_PER_MS;
    while (shard->known.head != NULL &&
           (now - shard->known.head->known_ns >= window_ns ||
            atomic_load_explicit(&dedup->count, memory_order_relaxed) > dedup->set.max_entries))
        claim_drop(dedup, shard, shard->known.head);
}

// --- waiters

static void waiter_add(struct bfr_dedup *dedup, struct shard *shard, struct bfr_claim *claim, struct bfr_waiter *waiter)
{
    (void)dedup;
    struct bfr_waiter **at = &claim->waiters;
    if (claim->waiters == NULL)
        list_append(&shard->waiting, claim);
    while (*at != NULL)
        at = &(*at)->next;
    waiter->next = NULL;
    waiter->owner = shard;
    *at = waiter;
}

static struct answers waiters_take(struct shard *shard, struct bfr_claim *claim, uint32_t answer, const char *text)
{
    struct answers answers = {claim->waiters, claim->first, answer, text};
    if (claim->waiters != NULL)
        list_remove(&shard->waiting, claim);
    claim->waiters = claim->first = NULL;
    return answers;
}

// Without any lock. A waiter may be gone the moment it is answered.
static void answers_give(struct bfr_dedup *dedup, const struct answers *answers)
{
    struct bfr_waiter *waiter = answers->list;
    while (waiter != NULL) {
        struct bfr_waiter *following = waiter->next;
        uint32_t answer = answers->answer;
        const char *text = answers->text;
        if (answer == BFR_ANSWER_ACCEPTED && waiter != answers->first) {
            answer = BFR_ANSWER_DUPLICATE;
            text = "the same bytes were accepted under this name";
            bfr_series_add(dedup->set.duplicates, 1);
        }
        waiter->on_answer(waiter, answer, text);
        waiter = following;
    }
}

// --- the life of a claim

// What the claim's waiters are to be told now; 0 = they wait on.
static uint32_t claim_verdict(const struct bfr_dedup *dedup, const struct bfr_claim *claim)
{
    if (claim->pending)
        return 0;
    if (claim->level >= dedup->set.level)
        return BFR_ANSWER_ACCEPTED;
    if (claim->settled_buried)
        return claim->conflict ? BFR_ANSWER_CONFLICT : BFR_ANSWER_REFUSED;
    return 0;
}

static const char *verdict_text(uint32_t answer)
{
    if (answer == BFR_ANSWER_CONFLICT)
        return "the store has other bytes under this name";
    if (answer == BFR_ANSWER_REFUSED)
        return "the store refused this batch; it is kept as a dead letter";
    return "accepted";
}

// The claim changed: if it is final now, it becomes known for the window and its waiters are returned.
static struct answers claim_update(struct bfr_dedup *dedup, struct shard *shard, struct bfr_claim *claim)
{
    uint32_t verdict = claim_verdict(dedup, claim);
    if (verdict == 0)
        return (struct answers){0};
    struct answers answers = waiters_take(shard, claim, verdict, verdict_text(verdict));
    if (claim->answer == 0) {
        claim->known_ns = bfr_clock_now(dedup->set.clock);
        list_append(&shard->known, claim);
    }
    claim->answer = (uint8_t)verdict;
    shard_trim(dedup, shard, bfr_clock_now(dedup->set.clock));
    return answers;
}

// Somebody else's batch has this key already. Answers at once or lets `waiter` wait.
static struct answers claim_meet(struct bfr_dedup *dedup, struct shard *shard, struct bfr_claim *claim,
                                 const struct bfr_batch *batch, struct bfr_waiter *waiter)
{
    bool same = memcmp(claim->sha256, batch->source_sha256, sizeof claim->sha256) == 0;
    struct answers answers = {.list = waiter, .first = NULL};
    if (same && claim->answer == 0) {
        waiter_add(dedup, shard, claim, waiter);
        return (struct answers){0};
    }
    if (same) {
        answers.answer = claim->answer;
        answers.text = verdict_text(claim->answer);
    } else if (claim->pending) {
        // The first may yet fail, and then these bytes would be right: no reason for a final no.
        answers.answer = BFR_ANSWER_BUSY;
        answers.text = "another batch of this name is being taken";
    } else {
        answers.answer = BFR_ANSWER_CONFLICT;
        answers.text = "other bytes were accepted under this name";
    }
    return answers;
}

uint32_t bfr_dedup_claim(struct bfr_dedup *dedup, const struct bfr_batch *batch, struct bfr_waiter *waiter,
                         struct bfr_claim **out)
{
    struct bfr_key key;
    struct answers answers = {0};
    if (!bfr_key_make(&dedup->seed, batch->tenant, batch->dataset, batch->filename, &key))
        return BFR_CLAIMED_NO_MEMORY;
    struct shard *shard = shard_of(dedup, key.hash);
    waiter->next = NULL;
    waiter->owner = shard;

    uint32_t claimed = BFR_CLAIMED_KNOWN;
    pthread_mutex_lock(&shard->lock);
    shard_trim(dedup, shard, bfr_clock_now(dedup->set.clock));
    struct bfr_claim *claim = claim_find(shard, &key);
    if (claim != NULL) {
        answers = claim_meet(dedup, shard, claim, batch, waiter);
    } else if ((claim = claim_add(dedup, shard, &key)) != NULL) {
        claim->pending = true;
        claim->received_ns = batch->received_ns;
        memcpy(claim->sha256, batch->source_sha256, sizeof claim->sha256);
        waiter_add(dedup, shard, claim, waiter);
        claim->first = waiter;
        *out = claim;
        claimed = BFR_CLAIMED_NEW;
    } else {
        claimed = BFR_CLAIMED_NO_MEMORY;
    }
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
    return claimed;
}

void bfr_dedup_accept(struct bfr_dedup *dedup, struct bfr_claim *claim, uint32_t level)
{
    struct shard *shard = shard_of(dedup, claim->hash); // pending: the caller keeps it alive
    pthread_mutex_lock(&shard->lock);
    bfr_must(claim->pending);
    claim->pending = false;
    if (level > claim->level)
        claim->level = (uint8_t)level;
    struct answers answers = claim_update(dedup, shard, claim);
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

void bfr_dedup_fail(struct bfr_dedup *dedup, struct bfr_claim *claim, uint32_t answer, const char *text)
{
    struct shard *shard = shard_of(dedup, claim->hash);
    pthread_mutex_lock(&shard->lock);
    bfr_must(claim->pending);
    struct answers answers = waiters_take(shard, claim, answer, text);
    claim_drop(dedup, shard, claim);
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

// The claim that belongs to this very batch, or NULL. Locks the shard when it returns one.
static struct bfr_claim *claim_lock(struct bfr_dedup *dedup, const struct bfr_batch *batch, struct shard **out)
{
    struct bfr_key key;
    if (!bfr_key_make(&dedup->seed, batch->tenant, batch->dataset, batch->filename, &key))
        return NULL;
    struct shard *shard = shard_of(dedup, key.hash);
    pthread_mutex_lock(&shard->lock);
    struct bfr_claim *claim = claim_find(shard, &key);
    if (claim != NULL && claim->received_ns == batch->received_ns &&
        memcmp(claim->sha256, batch->source_sha256, sizeof claim->sha256) == 0) {
        *out = shard;
        return claim;
    }
    pthread_mutex_unlock(&shard->lock);
    return NULL;
}

void bfr_dedup_reach(struct bfr_dedup *dedup, const struct bfr_batch *batch, uint32_t level)
{
    struct shard *shard;
    struct bfr_claim *claim = claim_lock(dedup, batch, &shard);
    if (claim == NULL)
        return;
    if (level > claim->level)
        claim->level = (uint8_t)level;
    struct answers answers = claim_update(dedup, shard, claim);
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

void bfr_dedup_bury(struct bfr_dedup *dedup, const struct bfr_batch *batch, uint32_t reason, bool settled)
{
    struct shard *shard;
    struct bfr_claim *claim = claim_lock(dedup, batch, &shard);
    if (claim == NULL)
        return;
    claim->conflict |= reason == BFR_REASON_CONFLICT;
    claim->settled_buried |= settled;
    struct answers answers = claim_update(dedup, shard, claim);
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

void bfr_dedup_forget(struct bfr_dedup *dedup, const char *tenant, const char *dataset, const char *filename)
{
    struct bfr_key key;
    struct answers answers = {0};
    if (!bfr_key_make(&dedup->seed, tenant, dataset, filename, &key))
        return;
    struct shard *shard = shard_of(dedup, key.hash);
    pthread_mutex_lock(&shard->lock);
    struct bfr_claim *claim = claim_find(shard, &key);
    if (claim != NULL && !claim->pending) {
        answers = waiters_take(shard, claim, BFR_ANSWER_BUSY, "the batch was purged before it was stored");
        claim_drop(dedup, shard, claim);
    }
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

// Unlink `waiter` if it is in this claim's list.
static bool waiter_unlink(struct shard *shard, struct bfr_claim *claim, struct bfr_waiter *waiter)
{
    struct bfr_waiter **at = &claim->waiters;
    while (*at != NULL && *at != waiter)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = waiter->next;
    if (claim->first == waiter)
        claim->first = NULL;
    if (claim->waiters == NULL)
        list_remove(&shard->waiting, claim);
    return true;
}

// The waiter does not name its claim, because the claim may be gone by now; its shard is searched. That is one step per
// request that waits in 1/32 of the table, paid only by those that give up.
bool bfr_dedup_abandon(struct bfr_dedup *dedup, struct bfr_waiter *waiter)
{
    (void)dedup;
    struct shard *shard = waiter->owner;
    if (shard == NULL)
        return false;
    bool found = false;
    pthread_mutex_lock(&shard->lock);
    struct bfr_claim *claim = shard->waiting.head;
    while (claim != NULL && !found) {
        struct bfr_claim *following = claim->next;
        found = waiter_unlink(shard, claim, waiter);
        claim = following;
    }
    pthread_mutex_unlock(&shard->lock);
    return found;
}

void bfr_dedup_dismiss(struct bfr_dedup *dedup, uint32_t answer, const char *text)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &dedup->shards[i];
        for (;;) {
            struct answers answers = {0};
            pthread_mutex_lock(&shard->lock);
            bool any = shard->waiting.head != NULL;
            if (any)
                answers = waiters_take(shard, shard->waiting.head, answer, text);
            pthread_mutex_unlock(&shard->lock);
            if (!any)
                break;
            answers_give(dedup, &answers);
        }
    }
}

// --- start and end

// When it was received, on the monotonic clock; a wall clock that jumped gives "now" or "at the dawn of time".
static uint64_t received_monotonic(const struct bfr_clock *clock, int64_t received_ns)
{
    uint64_t now = bfr_clock_now(clock);
    int64_t age = bfr_clock_wall(clock) - received_ns;
    if (age <= 0)
        return now;
    return (uint64_t)age < now ? now - (uint64_t)age : 0;
}

bool bfr_dedup_remember(struct bfr_dedup *dedup, const struct bfr_recent *recent, uint32_t level, bool buried)
{
    struct bfr_key key;
    if (!bfr_key_make(&dedup->seed, recent->tenant, recent->dataset, recent->filename, &key))
        return true; // no sender can send such a name, so nobody will ask for it
    struct shard *shard = shard_of(dedup, key.hash);
    pthread_mutex_lock(&shard->lock);
    struct bfr_claim *claim = claim_find(shard, &key);
    bool fresh = claim == NULL;
    if (fresh)
        claim = claim_add(dedup, shard, &key);
    if (claim != NULL) {
        claim->received_ns = recent->received_ns;
        memcpy(claim->sha256, recent->source_sha256, sizeof claim->sha256);
        claim->level = (uint8_t)level;
        claim->settled_buried = buried;
        (void)claim_update(dedup, shard, claim); // nobody waits yet
        // claim_update may have forgotten it at once, when there are too many.
        if (fresh && shard->known.tail != NULL && shard->known.tail->hash == key.hash)
            shard->known.tail->known_ns = received_monotonic(dedup->set.clock, recent->received_ns);
    }
    pthread_mutex_unlock(&shard->lock);
    return claim != NULL;
}

size_t bfr_dedup_count(struct bfr_dedup *dedup)
{
    return atomic_load_explicit(&dedup->count, memory_order_relaxed);
}

struct bfr_dedup *bfr_dedup_new(const struct bfr_dedup_setup *setup)
{
    struct bfr_dedup *dedup = aligned_alloc(64, (sizeof *dedup + 63) / 64 * 64);
    if (dedup == NULL)
        return NULL;
    memset(dedup, 0, sizeof *dedup);
    dedup->set = *setup;
    bool ok = bfr_hash_seed_init(&dedup->seed);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &dedup->shards[i];
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
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &dedup->shards[i];
        for (size_t j = 0; shard->buckets != NULL && j < shard->bucket_count; j++)
            chain_free(shard->buckets[j]);
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(dedup);
}
