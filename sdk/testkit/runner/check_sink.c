// SPDX-License-Identifier: Apache-2.0
// Checks on a sink: each taken delivery is completed exactly once, whatever the moment. The fake host records every
// completion that should not have come; these functions make the moments.
#include "check.h"

#include <stdlib.h>

#include "stage.h"

enum { SMALL = 200, LARGE = 300 * 1024, BURST = 300 };

static const char *const outcomes[] = {"?", "STORED", "RETRY", "REJECT", "FATAL"};

static void judge_end(const struct subject *subject, const struct bfr_fake_end *end)
{
    uint32_t outcome = end->outcome <= BFR_FATAL ? end->outcome : 0;
    if (subject->outage)
        must(outcome == BFR_RETRY && (end->flags & BFR_OUTAGE) != 0,
             "with the far end away a batch ended as %s%s (%s); it must be RETRY with OUTAGE", outcomes[outcome],
             outcome == BFR_RETRY ? " without OUTAGE" : "", end->text);
    else
        must(outcome == BFR_STORED, "a batch ended as %s: %s", outcomes[outcome], end->text);
}

// What stop gave back unbegun is neither stored nor lost: RETRY, and the batch is not to blame.
static void judge_given_back(const struct subject *subject, const struct bfr_fake_end *end)
{
    if (end->outcome == BFR_RETRY)
        must((end->flags & BFR_OUTAGE) != 0, "stop charged a batch with RETRY without OUTAGE (%s)", end->text);
    else
        judge_end(subject, end);
}

static void put_one(const struct subject *subject, struct bfr_fake *fake, const struct bfr_batch *batch)
{
    uint64_t token;
    struct bfr_fake_end end;
    must(bfr_fake_put(fake, &batch, 1, &token) == 1, "an idle sink refused a batch");
    must(bfr_fake_wait(fake, token, subject->wait_ms, &end), "a batch was taken and not completed in %u s",
         subject->wait_ms / 1000);
    judge_end(subject, &end);
}

static void stores_a_batch(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    static const size_t sizes[] = {1, SMALL, LARGE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct bfr_batch *batch = stage_batch(fake, "acme", sizes[i]);
        put_one(subject, fake, batch);
        bfr_fake_batch_release(fake, batch);
    }
    stage_close(subject, fake);
}

// The reply of a put can be lost, so the host may deliver the same batch again.
static void stores_it_again(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    const struct bfr_batch *batch = stage_batch(fake, "acme", SMALL);
    put_one(subject, fake, batch);
    put_one(subject, fake, batch);
    bfr_fake_batch_release(fake, batch);
    stage_close(subject, fake);
}

struct load {
    const struct bfr_batch **batches;
    uint64_t *tokens;
    size_t count;
};

static struct load load_new(struct bfr_fake *fake, size_t count)
{
    static const char *const tenants[] = {"acme", "globex", "initech"};
    struct load load = {calloc(count, sizeof(struct bfr_batch *)), calloc(count, sizeof *load.tokens), count};
    if (load.batches == NULL || load.tokens == NULL)
        fail("out of memory");
    for (size_t i = 0; i < count; i++)
        load.batches[i] = stage_batch(fake, tenants[i % 3], SMALL + i);
    return load;
}

static void load_free(struct bfr_fake *fake, struct load *load)
{
    for (size_t i = 0; i < load->count; i++)
        bfr_fake_batch_release(fake, load->batches[i]);
    free(load->batches);
    free(load->tokens);
}

// As a pump: offer what is left, wait for ready when it is not all taken.
static void pump(const struct subject *subject, struct bfr_fake *fake, struct load *load, size_t window)
{
    for (size_t sent = 0; sent < load->count;) {
        size_t offer = load->count - sent < window ? load->count - sent : window;
        size_t taken = bfr_fake_put(fake, load->batches + sent, offer, load->tokens + sent);
        sent += taken;
        if (taken < offer)
            must(bfr_fake_wait_ready(fake, subject->wait_ms), "it was busy and did not call ready within %u s",
                 subject->wait_ms / 1000);
    }
}

static size_t window_of(const struct subject *subject, struct bfr_fake *fake)
{
    const struct bfr_sink_vtable *sink = subject->plugin->vtable;
    uint32_t window = BFR_HAS_CALL(sink, max_in_flight) ? sink->max_in_flight(bfr_fake_self(fake)) : 0;
    return window > 0 ? window : 32;
}

static void judge_all(const struct subject *subject, struct bfr_fake *fake, const struct load *load)
{
    for (size_t i = 0; i < load->count; i++) {
        struct bfr_fake_end end;
        must(bfr_fake_wait(fake, load->tokens[i], subject->wait_ms, &end),
             "batch %zu of %zu was taken and not completed in %u s", i + 1, load->count, subject->wait_ms / 1000);
        judge_end(subject, &end);
    }
}

static void completes_a_burst(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    struct load load = load_new(fake, BURST);
    pump(subject, fake, &load, window_of(subject, fake));
    judge_all(subject, fake, &load);
    load_free(fake, &load);
    stage_close(subject, fake);
}

// More than it asked for: it must take the first k, leave the rest alone and say when there is room.
static void is_busy_by_the_book(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    size_t window = window_of(subject, fake);
    struct load load = load_new(fake, 4 * window + 8);
    pump(subject, fake, &load, load.count);
    judge_all(subject, fake, &load);
    load_free(fake, &load);
    stage_close(subject, fake);
}

static void drain_finishes(const struct subject *subject)
{
    struct bfr_fake *fake = stage_started(subject);
    struct load load = load_new(fake, 2 * window_of(subject, fake));
    struct load taken = load;
    taken.count = bfr_fake_put(fake, load.batches, load.count, load.tokens);
    uint64_t deadline = stage_deadline(fake, 3 * (uint64_t)subject->wait_ms);
    bfr_fake_drain(fake, deadline);
    if (stage_deadline(fake, 0) < deadline)
        must(bfr_fake_open(fake) == 0, "drain returned before its deadline with %zu open deliveries",
             bfr_fake_open(fake));
    judge_all(subject, fake, &taken);
    load_free(fake, &load);
    stage_close(subject, fake);
}

static void finish_in_a_hurry(const struct subject *subject, bool drain)
{
    struct bfr_fake *fake = stage_started(subject);
    size_t count = 2 * window_of(subject, fake);
    struct load load = load_new(fake, count);
    size_t taken = bfr_fake_put(fake, load.batches, count, load.tokens);
    if (drain)
        bfr_fake_drain(fake, stage_deadline(fake, 0));
    bfr_fake_stop(fake);
    stage_no_breach(fake);
    for (size_t i = 0; i < taken; i++) {
        struct bfr_fake_end end;
        must(bfr_fake_wait(fake, load.tokens[i], 0, &end), "stop left a delivery open");
        judge_given_back(subject, &end);
    }
    load_free(fake, &load);
    stage_finish(fake);
}

static void drain_keeps_its_deadline(const struct subject *subject)
{
    finish_in_a_hurry(subject, true);
}

static void stop_completes_everything(const struct subject *subject)
{
    finish_in_a_hurry(subject, false);
}

static void stages_do_not_mix(const struct subject *subject)
{
    struct bfr_fake *first = stage_started(subject);
    struct bfr_fake *second = stage_started(subject);
    struct load one = load_new(first, BURST), two = load_new(second, BURST);
    size_t window = window_of(subject, first);
    pump(subject, first, &one, window);
    pump(subject, second, &two, window);
    judge_all(subject, first, &one);
    load_free(first, &one);
    stage_close(subject, first);
    judge_all(subject, second, &two);
    const struct bfr_batch *late = stage_batch(second, "acme", SMALL);
    put_one(subject, second, late);
    bfr_fake_batch_release(second, late);
    load_free(second, &two);
    stage_close(subject, second);
}

const struct check sink_checks[] = {
    {"sink: stores a batch, small or large", stores_a_batch},
    {"sink: the same batch again", stores_it_again},
    {"sink: completes each of a burst exactly once", completes_a_burst},
    {"sink: busy by the book, and ready", is_busy_by_the_book},
    {"sink: drain finishes what was taken", drain_finishes},
    {"sink: drain keeps its deadline", drain_keeps_its_deadline},
    {"sink: stop completes everything", stop_completes_everything},
    {"sink: two stages at once do not mix", stages_do_not_mix},
    {NULL, NULL},
};
