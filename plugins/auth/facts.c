// SPDX-License-Identifier: Apache-2.0
// See facts.h. Chained buckets, never resized: the table is bounded. Good facts and the rest have a list each, so that a
// flood of ids nobody has cannot push out what is known to be good.
#include "facts.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS FACTS_PIECES
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a power of two");

bool bfr_facts_init(struct facts *facts)
{
    memset(facts, 0, sizeof *facts);
    TAILQ_INIT(&facts->good);
    TAILQ_INIT(&facts->rest);
    facts->buckets = calloc(BUCKETS, sizeof(struct fact *));
    facts->accepted = bfr_accepted_new();
    if (facts->buckets != NULL && facts->accepted != NULL)
        return true;
    bfr_facts_free(facts);
    return false;
}

static uint64_t hash_of(const struct fact_subject *subject)
{
    uint64_t hash = bfr_index_hash((uint32_t)subject->kind, subject->tenant);
    uint64_t key = 0;

    if (subject->kind == FACT_KEY)
        memcpy(&key, subject->key, sizeof key);
    else
        key = bfr_index_hash(0, subject->dataset);
    return (hash ^ key) * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

// Not in constant time: that a hash is like one that was presented before tells nothing about a key.
static bool is_about(const struct fact *fact, const struct fact_subject *subject)
{
    return fact->subject.kind == subject->kind && strcmp(fact->subject.tenant, subject->tenant) == 0 &&
           strcmp(fact->subject.dataset, subject->dataset) == 0 &&
           memcmp(fact->subject.key, subject->key, sizeof subject->key) == 0;
}

static struct fact **bucket_of(const struct facts *facts, uint64_t hash)
{
    return &facts->buckets[hash & (BUCKETS - 1)];
}

struct fact *bfr_facts_find(const struct facts *facts, const struct fact_subject *subject)
{
    uint64_t hash = hash_of(subject);

    for (struct fact *fact = *bucket_of(facts, hash); fact != NULL; fact = fact->chain)
        if (fact->hash == hash && is_about(fact, subject))
            return fact;
    return NULL;
}

static void list_remove(struct facts *facts, struct fact *fact)
{
    if (fact->good_list) {
        TAILQ_REMOVE(&facts->good, fact, by_use);
        facts->good_count--;
    } else {
        TAILQ_REMOVE(&facts->rest, fact, by_use);
        facts->rest_count--;
    }
}

static void list_append(struct facts *facts, struct fact *fact)
{
    fact->good_list = fact->state == FACT_GOOD;
    if (fact->good_list) {
        TAILQ_INSERT_TAIL(&facts->good, fact, by_use);
        facts->good_count++;
    } else {
        TAILQ_INSERT_TAIL(&facts->rest, fact, by_use);
        facts->rest_count++;
    }
}

static void forget(struct facts *facts, struct fact *fact)
{
    struct fact **link = bucket_of(facts, fact->hash);

    if (fact->subject.kind == FACT_KEY && fact->state == FACT_GOOD)
        facts->key_changes++;
    while (*link != fact)
        link = &(*link)->chain;
    *link = fact->chain;
    list_remove(facts, fact);
    free(fact);
}

// False: everything is in flight.
static bool make_room(struct facts *facts, struct fact_list *list, uint32_t count, uint32_t most)
{
    struct fact *oldest = TAILQ_FIRST(list);

    while (count >= most && oldest != NULL && oldest->in_flight)
        oldest = TAILQ_NEXT(oldest, by_use);
    if (count < most)
        return true;
    if (oldest != NULL)
        forget(facts, oldest);
    return oldest != NULL;
}

struct fact *bfr_facts_get(struct facts *facts, const struct fact_subject *subject)
{
    struct fact *fact = bfr_facts_find(facts, subject);

    if (fact != NULL)
        return fact;
    fact = make_room(facts, &facts->rest, facts->rest_count, FACTS_MAX) ? calloc(1, sizeof *fact) : NULL;
    if (fact == NULL)
        return NULL;
    fact->subject = *subject;
    fact->state = FACT_OPEN;
    fact->hash = hash_of(subject);
    TAILQ_INIT(&fact->waiting);
    struct fact **bucket = bucket_of(facts, fact->hash);
    fact->chain = *bucket;
    *bucket = fact;
    list_append(facts, fact);
    return fact;
}

void bfr_fact_settle(struct facts *facts, struct fact *fact, enum fact_state state, uint64_t asked_ns)
{
    if (state == FACT_FAILED && fact->state == FACT_GOOD) {
        fact->failed_ns = asked_ns;
        return;
    }
    if (fact->subject.kind == FACT_KEY && state != FACT_GOOD)
        bfr_accepted_put(facts->accepted, fact->subject.tenant, fact->subject.key, 0);
    if (fact->subject.kind == FACT_KEY && (state == FACT_GOOD) != (fact->state == FACT_GOOD))
        facts->key_changes++;
    list_remove(facts, fact);
    fact->state = state;
    fact->asked_ns = asked_ns;
    fact->carried = false;
    if (state == FACT_GOOD)
        (void)make_room(facts, &facts->good, facts->good_count, FACTS_GOOD_MAX);
    list_append(facts, fact);
}

void bfr_fact_use(struct facts *facts, struct fact *fact)
{
    list_remove(facts, fact);
    list_append(facts, fact);
}

uint32_t bfr_facts_carry(struct facts *facts, uint32_t piece, enum fact_kind kind, uint32_t skip, struct fact **out,
                         uint32_t most)
{
    uint32_t count = 0;

    for (struct fact *fact = facts->buckets[piece]; fact != NULL && count < most; fact = fact->chain) {
        if (fact->state != FACT_GOOD || fact->subject.kind != kind)
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        fact->carried = true;
        out[count++] = fact;
    }
    return count;
}

void bfr_facts_supersede(struct facts *facts, uint32_t piece, enum fact_kind kind, uint64_t before_ns)
{
    struct fact *fact = facts->buckets[piece];

    while (fact != NULL) {
        struct fact *next = fact->chain;
        bool is_old = fact->state == FACT_GOOD && fact->subject.kind == kind && fact->asked_ns < before_ns;
        if (is_old && fact->carried && !fact->in_flight)
            forget(facts, fact);
        fact = next;
    }
}

uint64_t bfr_facts_bytes(const struct facts *facts)
{
    return bfr_accepted_bytes() + BUCKETS * sizeof(struct fact *) +
           ((uint64_t)facts->good_count + facts->rest_count) * sizeof(struct fact);
}

static void free_list(struct fact_list *list)
{
    struct fact *fact = TAILQ_FIRST(list);

    while (fact != NULL) {
        struct fact *next = TAILQ_NEXT(fact, by_use);
        free(fact);
        fact = next;
    }
}

void bfr_facts_free(struct facts *facts)
{
    free_list(&facts->good);
    free_list(&facts->rest);
    free(facts->buckets);
    facts->buckets = NULL;
    bfr_accepted_free(facts->accepted);
    facts->accepted = NULL;
}
