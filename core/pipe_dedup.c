// SPDX-License-Identifier: Apache-2.0
// The duplicate memory: a hash table in shards, each with its own mutex, called from loops and pumps. No waiter is
// answered and nobody called while a lock is held: answers are gathered under the lock and given after it.
//
// Identity. The pipeline finds a claim again by the batch's key, because the batch that a queue lends may be another
// object than the one submitted. Key, hash of the bytes and time of arrival together tell it from an earlier batch of
// the same name whose claim has run out of the window.
#include "pipe_dedup_table.h"

#include <string.h>

#include "bug.h"

// Waiters to be answered once the lock is released.
struct answers {
    struct bfr_waiter *list;
    struct bfr_waiter *first;
    uint32_t answer;
    const char *text;
};

// --- waiters

// In order of arrival: who was first is told so.
static void waiter_add(struct bfr_dedup_shard *shard, struct bfr_claim *claim, struct bfr_waiter *waiter)
{
    struct bfr_waiter **at = &claim->waiters;
    if (claim->waiters == NULL)
        bfr_claims_append(&shard->waiting, claim);
    while (*at != NULL)
        at = &(*at)->next;
    waiter->next = NULL;
    waiter->owner = shard;
    *at = waiter;
}

static struct answers waiters_take(struct bfr_dedup_shard *shard, struct bfr_claim *claim, uint32_t answer,
                                   const char *text)
{
    struct answers answers = {claim->waiters, claim->first, answer, text};
    if (claim->waiters != NULL)
        bfr_claims_remove(&shard->waiting, claim);
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

// The claim changed: if it is final now, it becomes known for the window and its waiters are returned. `since_ns`: when
// the window begins. The claim may be gone afterwards.
static struct answers claim_update(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim,
                                   uint64_t since_ns)
{
    uint32_t verdict = claim_verdict(dedup, claim);
    if (verdict == 0)
        return (struct answers){0};
    struct answers answers = waiters_take(shard, claim, verdict, verdict_text(verdict));
    if (claim->answer == 0)
        bfr_dedup_make_known(dedup, shard, claim, since_ns);
    claim->answer = (uint8_t)verdict;
    bfr_dedup_trim(dedup, shard, bfr_clock_now(dedup->set.clock));
    return answers;
}

static bool has_bytes(const struct bfr_claim *claim, const uint8_t *sha256)
{
    return memcmp(claim->sha256, sha256, sizeof claim->sha256) == 0;
}

// Somebody else's batch has this key already. Answers at once or lets `waiter` wait.
static struct answers claim_meet(struct bfr_dedup_shard *shard, struct bfr_claim *claim, const struct bfr_batch *batch,
                                 struct bfr_waiter *waiter)
{
    bool same = has_bytes(claim, batch->source_sha256);
    struct answers answers = {.list = waiter, .first = NULL};
    if (same && claim->answer == 0) {
        waiter_add(shard, claim, waiter);
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
    struct bfr_dedup_shard *shard = bfr_dedup_shard(dedup, key.hash);
    waiter->next = NULL;
    waiter->owner = shard;

    uint32_t claimed = BFR_CLAIMED_KNOWN;
    pthread_mutex_lock(&shard->lock);
    bfr_dedup_trim(dedup, shard, bfr_clock_now(dedup->set.clock));
    struct bfr_claim *claim = bfr_dedup_find(shard, &key);
    if (claim != NULL) {
        answers = claim_meet(shard, claim, batch, waiter);
    } else if ((claim = bfr_dedup_add(dedup, shard, &key)) != NULL) {
        claim->pending = true;
        claim->received_ns = batch->received_ns;
        memcpy(claim->sha256, batch->source_sha256, sizeof claim->sha256);
        waiter_add(shard, claim, waiter);
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
    struct bfr_dedup_shard *shard = bfr_dedup_shard(dedup, claim->hash); // pending: the caller keeps it alive
    pthread_mutex_lock(&shard->lock);
    bfr_must(claim->pending);
    claim->pending = false;
    if (level > claim->level)
        claim->level = (uint8_t)level;
    struct answers answers = claim_update(dedup, shard, claim, bfr_clock_now(dedup->set.clock));
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

// The key first, then the answers: a sender that is told to come back must find the key free.
void bfr_dedup_fail(struct bfr_dedup *dedup, struct bfr_claim *claim, uint32_t answer, const char *text)
{
    struct bfr_dedup_shard *shard = bfr_dedup_shard(dedup, claim->hash);
    pthread_mutex_lock(&shard->lock);
    bfr_must(claim->pending);
    struct answers answers = waiters_take(shard, claim, answer, text);
    bfr_dedup_drop(dedup, shard, claim);
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

// A key, its shard, which is locked, and the claim that is known under it or NULL.
struct place {
    struct bfr_key key;
    struct bfr_dedup_shard *shard;
    struct bfr_claim *claim;
};

// False, with nothing locked: a name is longer than any can be.
static bool place_lock(struct bfr_dedup *dedup, const char *tenant, const char *dataset, const char *filename,
                       struct place *out)
{
    if (!bfr_key_make(&dedup->seed, tenant, dataset, filename, &out->key))
        return false;
    out->shard = bfr_dedup_shard(dedup, out->key.hash);
    pthread_mutex_lock(&out->shard->lock);
    out->claim = bfr_dedup_find(out->shard, &out->key);
    return true;
}

// Is it the claim of this very batch?
static bool is_of(const struct bfr_claim *claim, int64_t received_ns, const uint8_t *sha256)
{
    return claim != NULL && claim->received_ns == received_ns && has_bytes(claim, sha256);
}

// The claim that belongs to this very batch, or NULL. Locks the shard when it returns one.
static struct bfr_claim *claim_lock(struct bfr_dedup *dedup, const struct bfr_batch *batch,
                                    struct bfr_dedup_shard **out)
{
    struct place place;
    if (!place_lock(dedup, batch->tenant, batch->dataset, batch->filename, &place))
        return NULL;
    if (is_of(place.claim, batch->received_ns, batch->source_sha256)) {
        *out = place.shard;
        return place.claim;
    }
    pthread_mutex_unlock(&place.shard->lock);
    return NULL;
}

void bfr_dedup_reach(struct bfr_dedup *dedup, const struct bfr_batch *batch, uint32_t level)
{
    struct bfr_dedup_shard *shard;
    struct bfr_claim *claim = claim_lock(dedup, batch, &shard);
    if (claim == NULL)
        return;
    if (level > claim->level)
        claim->level = (uint8_t)level;
    struct answers answers = claim_update(dedup, shard, claim, bfr_clock_now(dedup->set.clock));
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

void bfr_dedup_bury(struct bfr_dedup *dedup, const struct bfr_batch *batch, uint32_t reason, bool settled)
{
    struct bfr_dedup_shard *shard;
    struct bfr_claim *claim = claim_lock(dedup, batch, &shard);
    if (claim == NULL)
        return;
    claim->conflict |= reason == BFR_REASON_CONFLICT;
    claim->settled_buried |= settled;
    struct answers answers = claim_update(dedup, shard, claim, bfr_clock_now(dedup->set.clock));
    pthread_mutex_unlock(&shard->lock);
    answers_give(dedup, &answers);
}

static struct answers claim_purge(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim)
{
    struct answers answers = waiters_take(shard, claim, BFR_ANSWER_BUSY, "the batch was purged before it was stored");
    bfr_dedup_drop(dedup, shard, claim);
    return answers;
}

void bfr_dedup_forget(struct bfr_dedup *dedup, const char *tenant, const char *dataset, const char *filename)
{
    struct place place;
    struct answers answers = {0};
    if (!place_lock(dedup, tenant, dataset, filename, &place))
        return;
    if (place.claim != NULL && !place.claim->pending)
        answers = claim_purge(dedup, place.shard, place.claim);
    pthread_mutex_unlock(&place.shard->lock);
    answers_give(dedup, &answers);
}

void bfr_dedup_reopen(struct bfr_dedup *dedup, const char *tenant, const char *dataset, const char *filename)
{
    struct place place;
    if (!place_lock(dedup, tenant, dataset, filename, &place))
        return;
    struct bfr_claim *claim = place.claim;
    if (claim != NULL && (claim->answer == BFR_ANSWER_REFUSED || claim->answer == BFR_ANSWER_CONFLICT)) {
        claim->settled_buried = claim->conflict = false;
        bfr_dedup_make_open(dedup, place.shard, claim);
    }
    pthread_mutex_unlock(&place.shard->lock);
}

void bfr_dedup_release(struct bfr_dedup *dedup, const struct bfr_recent *recent)
{
    struct place place;
    struct answers answers = {0};
    if (!place_lock(dedup, recent->tenant, recent->dataset, recent->filename, &place))
        return;
    if (is_of(place.claim, recent->received_ns, recent->source_sha256) && !place.claim->pending)
        answers = claim_purge(dedup, place.shard, place.claim);
    pthread_mutex_unlock(&place.shard->lock);
    answers_give(dedup, &answers);
}

// Unlink `waiter` if it is in this claim's list.
static bool waiter_unlink(struct bfr_dedup_shard *shard, struct bfr_claim *claim, struct bfr_waiter *waiter)
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
        bfr_claims_remove(&shard->waiting, claim);
    return true;
}

// The waiter does not name its claim, because the claim may be gone by now; its shard is searched. That is one step per
// request that waits in 1/32 of the table, paid only by those that give up.
bool bfr_dedup_abandon(struct bfr_dedup *dedup, struct bfr_waiter *waiter)
{
    (void)dedup;
    struct bfr_dedup_shard *shard = waiter->owner;
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
    for (size_t i = 0; i < BFR_DEDUP_SHARDS; i++) {
        struct bfr_dedup_shard *shard = &dedup->shards[i];
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

// `claim` is what the queue says of its batch, for the rest of the window. Nobody waits for it yet.
static void claim_fill(struct bfr_dedup *dedup, struct bfr_dedup_shard *shard, struct bfr_claim *claim,
                       const struct bfr_recent *recent, uint32_t level, bool buried)
{
    claim->received_ns = recent->received_ns;
    memcpy(claim->sha256, recent->source_sha256, sizeof claim->sha256);
    claim->level = (uint8_t)level;
    claim->settled_buried = buried;
    (void)claim_update(dedup, shard, claim, received_monotonic(dedup->set.clock, recent->received_ns));
}

// How far a batch has got: waiting for a sink, a dead letter, stored.
static int progress(uint32_t level, bool buried)
{
    return buried ? 1 : level < BFR_ACK_SINK ? 0 : 2;
}

// One batch may have had more than one record: one that was redriven, one that was met twice. What the queue has let go of
// is told as stored, so the record that has got less far speaks for the batch. Of other bytes, the newest counts.
static bool speaks_for(const struct bfr_claim *claim, const struct bfr_recent *recent, uint32_t level, bool buried)
{
    return has_bytes(claim, recent->source_sha256) &&
           progress(claim->level, claim->settled_buried) < progress(level, buried);
}

bool bfr_dedup_remember(struct bfr_dedup *dedup, const struct bfr_recent *recent, uint32_t level, bool buried)
{
    struct place place;
    bool good = true;
    if (!place_lock(dedup, recent->tenant, recent->dataset, recent->filename, &place))
        return false;
    if (place.claim == NULL || !speaks_for(place.claim, recent, level, buried)) {
        if (place.claim != NULL)
            bfr_dedup_drop(dedup, place.shard, place.claim); // it may be final, and the new one not
        struct bfr_claim *claim = bfr_dedup_add(dedup, place.shard, &place.key);
        good = claim != NULL;
        if (good)
            claim_fill(dedup, place.shard, claim, recent, level, buried);
    }
    pthread_mutex_unlock(&place.shard->lock);
    return good;
}

bool bfr_dedup_meet(struct bfr_dedup *dedup, const struct bfr_recent *recent, uint32_t level, bool buried)
{
    struct place place;
    bool known = false;
    if (!place_lock(dedup, recent->tenant, recent->dataset, recent->filename, &place))
        return false;
    struct bfr_claim *claim = place.claim;
    if (claim != NULL)
        known = !claim->pending && claim->level >= level && has_bytes(claim, recent->source_sha256);
    else if ((claim = bfr_dedup_add(dedup, place.shard, &place.key)) != NULL) // else the sink finds repeats
        claim_fill(dedup, place.shard, claim, recent, level, buried);
    pthread_mutex_unlock(&place.shard->lock);
    return known;
}
