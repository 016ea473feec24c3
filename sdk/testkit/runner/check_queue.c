// SPDX-License-Identifier: Apache-2.0
// Checks on a queue: what is put can be leased with the same bytes, by each consumer on its own, until it is settled;
// nothing else can. Runs put, lease and the ends of leases on one thread; two pumps at once have a check of their own.
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "stage.h"

enum { SMALL = 500, MOST = 64 };

static const struct bfr_queue_vtable *table(const struct subject *subject)
{
    return subject->plugin->vtable;
}

// Reserve as the edge would, put, wait until it is held.
static void hold(const struct subject *subject, struct bfr_fake *fake, const struct bfr_batch *batch)
{
    const struct bfr_queue_vtable *queue = table(subject);
    uint64_t token;
    struct bfr_fake_end end;
    if (BFR_HAS_CALL(queue, reserve))
        must(queue->reserve(bfr_fake_self(fake), batch->tenant, batch->body_bytes) == BFR_ROOM_OK,
             "an empty queue has no room for %llu bytes; give it a larger limit for this test",
             (unsigned long long)batch->body_bytes);
    must(bfr_fake_put(fake, &batch, 1, &token) == 1, "an empty queue refused a batch");
    must(bfr_fake_wait(fake, token, subject->wait_ms, &end), "a put was not completed in %u s",
         subject->wait_ms / 1000);
    must(end.outcome == BFR_STORED, "a put ended with outcome %u: %s", end.outcome, end.text);
}

static uint32_t lease(const struct subject *subject, struct bfr_fake *fake, struct bfr_lease_request request,
                      struct bfr_lease **out, uint64_t *out_next_ns)
{
    request.size = sizeof request;
    uint64_t ignored;
    uint32_t count =
        table(subject)->lease(bfr_fake_self(fake), &request, out, out_next_ns != NULL ? out_next_ns : &ignored);
    must(count <= request.max_batches, "asked for %u leases it gave %u", request.max_batches, count);
    return count;
}

// At least one lease, which is certain to come. What a queue completed it may lend a moment later only, and what it found
// at start when it has counted it: then it calls ready.
static uint32_t lease_some(const struct subject *subject, struct bfr_fake *fake, struct bfr_lease_request request,
                           struct bfr_lease **out)
{
    uint32_t count;
    while ((count = lease(subject, fake, request, out, NULL)) == 0)
        if (!bfr_fake_wait_ready(fake, subject->wait_ms))
            return lease(subject, fake, request, out, NULL);
    return count;
}

static struct bfr_lease *lease_one(const struct subject *subject, struct bfr_fake *fake, uint32_t consumer)
{
    struct bfr_lease *out[1];
    const struct bfr_lease_request request = {.consumer = consumer, .max_batches = 1, .max_bytes = UINT64_MAX};
    must(lease_some(subject, fake, request, out) == 1, "a held batch was not lent to consumer %u", consumer);
    return out[0];
}

static void none_left(const struct subject *subject, struct bfr_fake *fake, uint32_t consumer)
{
    struct bfr_lease *out[1];
    uint64_t next_ns = 0;
    const struct bfr_lease_request request = {.consumer = consumer, .max_batches = 1, .max_bytes = UINT64_MAX};
    must(lease(subject, fake, request, out, &next_ns) == 0, "consumer %u was lent a batch that is not waiting",
         consumer);
    must(next_ns == UINT64_MAX, "nothing waits, and lease names a time at which something will");
}

static uint32_t ack(const struct subject *subject, struct bfr_fake *fake, uint32_t consumer, struct bfr_lease *lent)
{
    uint32_t settled = 0;
    table(subject)->ack(bfr_fake_self(fake), consumer, &lent, 1, &settled);
    return settled;
}

static uint32_t bury(const struct subject *subject, struct bfr_fake *fake, struct bfr_lease *lent)
{
    uint32_t settled = 0;
    const struct bfr_burial burial = {
        .size = sizeof burial, .reason = BFR_REASON_REJECTED, .attempts = 3, .text = "the check buried it"};
    const struct bfr_burial *const burials[] = {&burial};
    table(subject)->bury(bfr_fake_self(fake), 0, &lent, burials, 1, &settled);
    return settled;
}

static struct bfr_queue_stats stats(const struct subject *subject, struct bfr_fake *fake)
{
    struct bfr_queue_stats out = {.size = sizeof out};
    table(subject)->stats(bfr_fake_self(fake), &out);
    return out;
}

static void same_bytes(const struct bfr_batch *put, const struct bfr_batch *got)
{
    must(strcmp(put->filename, got->filename) == 0, "put %s, was lent %s", put->filename, got->filename);
    must(strcmp(put->tenant, got->tenant) == 0 && strcmp(put->dataset, got->dataset) == 0 &&
             strcmp(put->account, got->account) == 0 && strcmp(put->content_type, got->content_type) == 0,
         "the envelope of %s changed", put->filename);
    must(memcmp(put->stored_sha256, got->stored_sha256, sizeof put->stored_sha256) == 0 &&
             put->received_ns == got->received_ns && put->body_bytes == got->body_bytes,
         "hash, length or time of %s changed", put->filename);
    uint8_t body[8192], sha256[32];
    size_t used = 0;
    for (uint32_t i = 0; i < got->span_count; used += got->spans[i].size, i++) {
        must(got->spans[i].size <= sizeof body - used, "the spans of %s are longer than its body", put->filename);
        memcpy(body + used, got->spans[i].data, got->spans[i].size);
    }
    bfr_fake_sha256(body, used, sha256);
    must(memcmp(sha256, put->stored_sha256, sizeof sha256) == 0, "the bytes of %s changed", put->filename);
}

static void lends_what_was_put(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    none_left(subject, fake, 0);
    hold(subject, fake, batch);
    must(bfr_fake_wait_ready(fake, subject->wait_ms), "a batch came and nobody was told: call host->ready");
    must(stats(subject, fake).held_batches == 1 && stats(subject, fake).held_bytes == batch->body_bytes,
         "stats does not count the batch it holds");

    struct bfr_lease *lent = lease_one(subject, fake, 0);
    same_bytes(batch, lent->batch);
    none_left(subject, fake, 0);
    must(ack(subject, fake, 0, lent) == BFR_SETTLED_STORED, "the only consumer confirmed; that is SETTLED_STORED");
    none_left(subject, fake, 0);
    must(stats(subject, fake).held_batches == 0, "stats still counts a settled batch");
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake);
}

static void consumers_advance_alone(const struct subject *subject)
{
    struct bfr_fake *fake = stage_created(subject);
    struct bfr_err err = {.size = sizeof err};
    stage_consumers(fake, subject->plugin, 2);
    must(bfr_fake_start(fake, &err) == BFR_OK, "start: %s", err.text);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    hold(subject, fake, batch);

    must(ack(subject, fake, 0, lease_one(subject, fake, 0)) == BFR_SETTLED_OPEN, "one of two is SETTLED_OPEN");
    none_left(subject, fake, 0);
    struct bfr_lease *lent = lease_one(subject, fake, 1);
    same_bytes(batch, lent->batch);
    must(ack(subject, fake, 1, lent) == BFR_SETTLED_STORED, "both confirmed; that is SETTLED_STORED");
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake);
}

static void nack(const struct subject *subject, struct bfr_fake *fake, struct bfr_lease *lent, uint32_t attempts,
                 uint64_t not_before_ns)
{
    const struct bfr_nack how = {
        .size = sizeof how, .attempts = attempts, .not_before_ns = not_before_ns, .text = "the check said no"};
    const struct bfr_nack *const list[] = {&how};
    table(subject)->nack(bfr_fake_self(fake), 0, &lent, list, 1);
}

static void nack_waits_for_its_time(const struct subject *subject)
{
    const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
    struct bfr_fake *fake = stage_started(subject);
    bfr_fake_clock_set(fake, hour_ns);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    hold(subject, fake, batch);
    nack(subject, fake, lease_one(subject, fake, 0), 1, 2 * hour_ns);

    struct bfr_lease *out[1];
    uint64_t next_ns = 0;
    struct bfr_lease_request request = {.consumer = 0, .max_batches = 1, .max_bytes = UINT64_MAX};
    must(lease(subject, fake, request, out, &next_ns) == 0, "a batch was lent before its time");
    must(next_ns <= 2 * hour_ns, "lease does not name the time at which the batch may be tried again");
    request.flags = BFR_LEASE_PROBE;
    must(lease(subject, fake, request, out, NULL) == 1, "a probe must be lent a batch before its time");
    nack(subject, fake, out[0], 2, 2 * hour_ns);
    bfr_fake_clock_advance(fake, hour_ns + 1);
    struct bfr_lease *lent = lease_one(subject, fake, 0);
    must(lent->attempts == 2, "attempts told by nack come back with the lease: 2, not %u", lent->attempts);
    must(ack(subject, fake, 0, lent) == BFR_SETTLED_STORED, "confirmed at last; that is SETTLED_STORED");
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake);
}

static bool count_letter(void *arg, const struct bfr_letter *letter)
{
    must(letter->id != NULL && letter->id[0] != '\0', "a letter has no id");
    must(letter->last_error != NULL && strcmp(letter->last_error, "the check buried it") == 0,
         "a letter does not say why it was buried");
    ++*(size_t *)arg;
    return true;
}

static size_t letters(const struct subject *subject, struct bfr_fake *fake, const struct bfr_filter *filter)
{
    size_t count = 0;
    table(subject)->letters(bfr_fake_self(fake), filter, NULL, MOST, count_letter, &count);
    return count;
}

static void burying_makes_a_letter(const struct subject *subject)
{
    const struct bfr_queue_vtable *queue = table(subject);
    const struct bfr_filter ours = {.size = sizeof ours, .tenant = "acme", .dataset = "*"};
    const struct bfr_filter others = {.size = sizeof others, .tenant = "globex", .dataset = "*"};
    const struct bfr_filter empty = {.size = sizeof empty, .tenant = "", .dataset = "*"};
    if (!BFR_HAS_CALL(queue, letters) || !BFR_HAS_CALL(queue, redrive) || !BFR_HAS_CALL(queue, purge))
        skip("it keeps no letters");
    struct bfr_fake *fake = stage_started(subject);
    void *self = bfr_fake_self(fake);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    hold(subject, fake, batch);
    must(bury(subject, fake, lease_one(subject, fake, 0)) == BFR_SETTLED_BURIED, "buried is SETTLED_BURIED");
    must(letters(subject, fake, &ours) == 1, "a buried batch is no letter");
    must(letters(subject, fake, &others) == 0 && letters(subject, fake, &empty) == 0, "a filter matches too much");
    must(stats(subject, fake).buried_batches == 1 && stats(subject, fake).held_batches == 0,
         "stats does not count the letter");

    must(queue->redrive(self, &ours, true, NULL, NULL) == 1 && letters(subject, fake, &ours) == 1,
         "a dry run counts and changes nothing");
    must(queue->redrive(self, &ours, false, NULL, NULL) == 1 && letters(subject, fake, &ours) == 0,
         "redrive did not move the letter");
    struct bfr_lease *lent = lease_one(subject, fake, 0);
    must(lent->attempts == 0, "a redriven batch starts with 0 attempts, not %u", lent->attempts);
    must(bury(subject, fake, lent) == BFR_SETTLED_BURIED, "buried again is SETTLED_BURIED");
    must(queue->purge(self, &ours, false, false, NULL, NULL) == 1 && letters(subject, fake, &ours) == 0,
         "purge did not forget the letter");
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake);
}

static uint64_t matching(const struct subject *subject, struct bfr_fake *fake, const struct bfr_filter *filter)
{
    return table(subject)->redrive(bfr_fake_self(fake), filter, true, NULL, NULL);
}

// The host redrives by these without being asked: a queue that skips one would take back what nobody wants tried again.
static void filters_of_letters_are_honoured(const struct subject *subject)
{
    const struct bfr_queue_vtable *queue = table(subject);
    const struct bfr_filter any = {.size = sizeof any, .tenant = "*", .dataset = "*"};
    struct bfr_filter other_reason = any, other_consumer = any, before = any, after = any, once = any;
    if (!BFR_HAS_CALL(queue, redrive))
        skip("it keeps no letters");
    other_reason.reason = BFR_REASON_ATTEMPTS;
    other_consumer.consumer = "nobody";
    before.failed_to_ns = 1;
    after.failed_from_ns = INT64_MAX;
    once.flags = BFR_FILTER_ONCE;
    once.limit = 1;
    struct bfr_fake *fake = stage_started(subject);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    hold(subject, fake, batch);
    must(bury(subject, fake, lease_one(subject, fake, 0)) == BFR_SETTLED_BURIED, "buried is SETTLED_BURIED");
    must(matching(subject, fake, &other_reason) == 0, "a filter's reason is not looked at");
    must(matching(subject, fake, &other_consumer) == 0, "a filter's consumer is not looked at");
    must(matching(subject, fake, &before) == 0, "a filter's failed_to_ns is not looked at");
    must(matching(subject, fake, &after) == 0, "a filter's failed_from_ns is not looked at");
    must(queue->redrive(bfr_fake_self(fake), &once, false, NULL, NULL) == 1, "BFR_FILTER_ONCE did not move the letter");
    must(bury(subject, fake, lease_one(subject, fake, 0)) == BFR_SETTLED_BURIED, "buried again is SETTLED_BURIED");
    must(matching(subject, fake, &once) == 0, "BFR_FILTER_ONCE matches a letter that it has moved before");
    must(matching(subject, fake, &any) == 1, "a letter that was redriven once is lost");
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake);
}

static void leases_keep_their_limits(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    for (int i = 0; i < 6; i++) {
        const struct bfr_batch *batch = stage_batch(fake, i % 2 ? "acme" : "globex", SMALL);
        hold(subject, fake, batch);
        bfr_fake_batch_release(fake, batch);
    }
    struct bfr_lease *out[MOST];
    struct bfr_lease_request request = {.consumer = 0, .max_batches = MOST, .max_bytes = 1};
    uint32_t settled[MOST];
    must(lease_some(subject, fake, request, out) == 1, "one batch is always allowed, and a second was over max_bytes");
    table(subject)->ack(bfr_fake_self(fake), 0, out, 1, settled);
    request.max_batches = 2;
    request.max_bytes = UINT64_MAX;
    uint32_t count = lease_some(subject, fake, request, out);
    must(count >= 1, "five batches wait and none was lent");
    table(subject)->ack(bfr_fake_self(fake), 0, out, count, settled);
    request.max_batches = MOST;
    for (uint32_t left = 5 - count; left > 0; left -= count) {
        count = lease_some(subject, fake, request, out);
        must(count >= 1 && count <= left, "%u batches wait and %u were lent", left, count);
        table(subject)->ack(bfr_fake_self(fake), 0, out, count, settled);
    }
    none_left(subject, fake, 0);
    stage_close(subject, fake);
}

static void admission_is_exact(const struct subject *subject)
{
    const struct bfr_queue_vtable *queue = table(subject);
    if (!BFR_HAS_CALL(queue, reserve))
        skip("it has no admission");
    struct bfr_fake *fake = stage_started(subject);
    void *self = bfr_fake_self(fake);
    uint64_t limit = stats(subject, fake).limit_bytes;
    if (limit > 0)
        must(queue->reserve(self, "acme", limit + 1) != BFR_ROOM_OK, "it reserves more than its limit");
    // Room that is given back can be had again, so this never fills it.
    for (int i = 0; i < 1000; i++) {
        must(queue->reserve(self, "acme", 1024) == BFR_ROOM_OK, "after %d rounds of reserve and release it is full", i);
        queue->release(self, "acme", 1024);
    }
    stage_close(subject, fake);
}

// A stable queue gives back after a restart what it held; a volatile one releases it.
static void restart_keeps_what_is_stable(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    hold(subject, fake, batch);
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake); // fails when a batch is still held
    if ((subject->plugin->flags & BFR_FLAG_STABLE) == 0)
        return;
    fake = stage_again(subject);
    struct bfr_err err = {.size = sizeof err};
    must(bfr_fake_create(fake, &err) == BFR_OK, "create: %s", err.text);
    stage_consumers(fake, subject->plugin, 1);
    must(bfr_fake_start(fake, &err) == BFR_OK, "start: %s", err.text);
    struct bfr_lease *lent = lease_one(subject, fake, 0);
    must(stats(subject, fake).held_batches == 1, "after a restart it does not hold the batch");
    must(ack(subject, fake, 0, lent) == BFR_SETTLED_STORED, "that is SETTLED_STORED");
    stage_close(subject, fake);
}

static void open_leases_end_with_it(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    hold(subject, fake, batch);
    bfr_fake_batch_release(fake, batch);
    lease_one(subject, fake, 0);
    stage_close(subject, fake);
}

struct pump {
    const struct subject *subject;
    struct bfr_fake *fake;
    atomic_uint *acked;
    unsigned wanted;
};

static void *pump_until_done(void *arg)
{
    const struct pump *pump = arg;
    while (atomic_load(pump->acked) < pump->wanted) {
        struct bfr_lease *out[4];
        uint32_t settled[4];
        const struct bfr_lease_request request = {.consumer = 0, .max_batches = 4, .max_bytes = UINT64_MAX};
        uint32_t count = lease(pump->subject, pump->fake, request, out, NULL);
        if (count > 0)
            table(pump->subject)->ack(bfr_fake_self(pump->fake), 0, out, count, settled);
        atomic_fetch_add(pump->acked, count);
    }
    return NULL;
}

static void threads_get_each_once(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    atomic_uint acked = 0;
    struct pump pump = {subject, fake, &acked, 200};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        must(pthread_create(&threads[i], NULL, pump_until_done, &pump) == 0, "cannot start a thread");
    for (unsigned i = 0; i < pump.wanted; i++) {
        const struct bfr_batch *batch = stage_batch(fake, i % 2 ? "acme" : "globex", SMALL);
        hold(subject, fake, batch);
        bfr_fake_batch_release(fake, batch);
    }
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    must(atomic_load(&acked) == pump.wanted, "%u batches were put and %u leased", pump.wanted, atomic_load(&acked));
    none_left(subject, fake, 0);
    stage_close(subject, fake);
}

const struct check queue_checks[] = {
    {"queue: lends what was put, byte for byte, once", lends_what_was_put},
    {"queue: consumers advance alone", consumers_advance_alone},
    {"queue: nack keeps attempts and waits for its time", nack_waits_for_its_time},
    {"queue: burying makes a letter; redrive and purge", burying_makes_a_letter},
    {"queue: filters of letters are honoured", filters_of_letters_are_honoured},
    {"queue: leases keep their limits", leases_keep_their_limits},
    {"queue: reserve and release balance", admission_is_exact},
    {"queue: stop releases, a restart gives back what is stable", restart_keeps_what_is_stable},
    {"queue: leases open at stop", open_leases_end_with_it},
    {"queue: put and leased from several threads, each batch once", threads_get_each_once},
    {NULL, NULL},
};
