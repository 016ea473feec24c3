// SPDX-License-Identifier: Apache-2.0
// The duplicate memory: who is told what about which bytes, and for how long a key is known.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "pipe_dedup.h"

struct sender {
    struct bfr_waiter waiter; // first
    _Atomic uint32_t answer;
    _Atomic uint32_t answers;
};

static void on_answer(struct bfr_waiter *waiter, uint32_t answer, const char *text)
{
    struct sender *sender = (struct sender *)waiter;
    assert_non_null(text);
    atomic_store(&sender->answer, answer);
    atomic_fetch_add(&sender->answers, 1);
}

struct fixture {
    struct fake_clock clock;
    struct bfr_dedup *dedup;
};

static void open_fixture(struct fixture *fixture, uint32_t level, uint32_t max_entries)
{
    fake_clock_init(&fixture->clock);
    const struct bfr_dedup_setup setup = {
        .clock = &fixture->clock.clock, .level = level, .window_ms = 60000, .max_entries = max_entries};
    fixture->dedup = bfr_dedup_new(&setup);
    assert_non_null(fixture->dedup);
}

static struct bfr_batch make(const char *filename, const char *body, int64_t received_ns)
{
    struct bfr_batch batch = {
        .size = sizeof batch, .tenant = "t", .dataset = "d", .filename = filename, .received_ns = received_ns};
    strncpy((char *)batch.source_sha256, body, sizeof batch.source_sha256);
    return batch;
}

static uint32_t claim(struct fixture *fixture, const struct bfr_batch *batch, struct sender *sender,
                      struct bfr_claim **out)
{
    memset(sender, 0, sizeof *sender);
    sender->waiter.on_answer = on_answer;
    return bfr_dedup_claim(fixture->dedup, batch, &sender->waiter, out);
}

// Claim and accept at once.
static void accept_new(struct fixture *fixture, const struct bfr_batch *batch, uint32_t level)
{
    struct sender sender;
    struct bfr_claim *mine;
    assert_int_equal(claim(fixture, batch, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_accept(fixture->dedup, mine, level);
}

static void test_same_bytes_are_a_duplicate_and_others_a_conflict(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    struct bfr_batch one = make("a", "one", 1), same = make("a", "one", 2), other = make("a", "two", 3);
    assert_int_equal(claim(&f, &one, &sender, &mine), BFR_CLAIMED_NEW);
    assert_int_equal(sender.answers, 0);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(claim(&f, &same, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(claim(&f, &other, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_CONFLICT);
    bfr_dedup_free(f.dedup);
}

static void test_same_bytes_wait_for_the_first_below_its_level(void **state)
{
    struct fixture f;
    struct sender first, second, third;
    struct bfr_claim *mine, *none;
    (void)state;
    open_fixture(&f, BFR_ACK_DISK, 100);
    struct bfr_batch one = make("a", "one", 1), same = make("a", "one", 2);
    assert_int_equal(claim(&f, &one, &first, &mine), BFR_CLAIMED_NEW);
    assert_int_equal(claim(&f, &same, &second, &none), BFR_CLAIMED_KNOWN);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    assert_int_equal(claim(&f, &same, &third, &none), BFR_CLAIMED_KNOWN);
    assert_int_equal(first.answers + second.answers + third.answers, 0);
    bfr_dedup_reach(f.dedup, &one, BFR_ACK_SINK); // a stronger level than they wait for
    assert_int_equal(first.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(second.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(third.answer, BFR_ANSWER_DUPLICATE);
    bfr_dedup_free(f.dedup);
}

static void test_other_bytes_are_told_to_retry_while_the_first_is_undecided(void **state)
{
    struct fixture f;
    struct sender first, second;
    struct bfr_claim *mine, *none;
    (void)state;
    open_fixture(&f, BFR_ACK_DISK, 100);
    struct bfr_batch one = make("a", "one", 1), other = make("a", "two", 2);
    assert_int_equal(claim(&f, &one, &first, &mine), BFR_CLAIMED_NEW);
    assert_int_equal(claim(&f, &other, &second, &none), BFR_CLAIMED_KNOWN);
    assert_int_equal(second.answer, BFR_ANSWER_BUSY);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY); // held, though below the level
    assert_int_equal(claim(&f, &other, &second, &none), BFR_CLAIMED_KNOWN);
    assert_int_equal(second.answer, BFR_ANSWER_CONFLICT);
    bfr_dedup_free(f.dedup);
}

static void test_key_is_free_after_a_failure_and_waiters_are_told(void **state)
{
    struct fixture f;
    struct sender first, second;
    struct bfr_claim *mine, *none;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    struct bfr_batch one = make("a", "one", 1), other = make("a", "two", 2);
    assert_int_equal(claim(&f, &one, &first, &mine), BFR_CLAIMED_NEW);
    assert_int_equal(claim(&f, &one, &second, &none), BFR_CLAIMED_KNOWN);
    bfr_dedup_fail(f.dedup, mine, BFR_ANSWER_BUSY, "full");
    assert_int_equal(first.answer, BFR_ANSWER_BUSY);
    assert_int_equal(second.answer, BFR_ANSWER_BUSY);
    assert_int_equal(bfr_dedup_count(f.dedup), 0);
    assert_int_equal(claim(&f, &other, &second, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_fail(f.dedup, mine, BFR_ANSWER_BUSY, "full");
    bfr_dedup_free(f.dedup);
}

static void test_purge_frees_the_key_and_burial_does_not(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    struct bfr_batch one = make("a", "one", 1), two = make("b", "two", 2);
    accept_new(&f, &one, BFR_ACK_MEMORY);
    accept_new(&f, &two, BFR_ACK_MEMORY);
    bfr_dedup_bury(f.dedup, &one, BFR_REASON_REJECTED, true);
    assert_int_equal(claim(&f, &one, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    bfr_dedup_forget(f.dedup, "t", "d", "b");
    assert_int_equal(claim(&f, &two, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_fail(f.dedup, mine, BFR_ANSWER_BUSY, "end");
    bfr_dedup_free(f.dedup);
}

static void test_ack_sink_says_why_a_buried_batch_failed(void **state)
{
    struct fixture f;
    struct sender first, second, third;
    struct bfr_claim *mine, *none;
    (void)state;
    open_fixture(&f, BFR_ACK_SINK, 100);
    struct bfr_batch one = make("a", "one", 1), two = make("b", "two", 2);
    assert_int_equal(claim(&f, &one, &first, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    bfr_dedup_bury(f.dedup, &one, BFR_REASON_CONFLICT, false); // another sink is not done
    assert_int_equal(first.answers, 0);
    bfr_dedup_bury(f.dedup, &one, 0, true);
    assert_int_equal(first.answer, BFR_ANSWER_CONFLICT);

    assert_int_equal(claim(&f, &two, &second, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    bfr_dedup_bury(f.dedup, &two, BFR_REASON_REJECTED, true);
    assert_int_equal(second.answer, BFR_ANSWER_REFUSED);
    assert_int_equal(claim(&f, &two, &third, &none), BFR_CLAIMED_KNOWN);
    assert_int_equal(third.answer, BFR_ANSWER_REFUSED); // no level is claimed that was not reached
    bfr_dedup_reach(f.dedup, &two, BFR_ACK_SINK);       // redriven and stored after all
    assert_int_equal(claim(&f, &two, &third, &none), BFR_CLAIMED_KNOWN);
    assert_int_equal(third.answer, BFR_ANSWER_DUPLICATE);
    bfr_dedup_free(f.dedup);
}

static void test_news_of_an_older_batch_of_the_same_name_is_ignored(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_DISK, 100);
    struct bfr_batch older = make("a", "one", 1), one = make("a", "one", 2), other = make("a", "two", 2);
    assert_int_equal(claim(&f, &one, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    bfr_dedup_reach(f.dedup, &older, BFR_ACK_DISK);
    bfr_dedup_reach(f.dedup, &other, BFR_ACK_DISK);
    assert_int_equal(sender.answers, 0);
    bfr_dedup_reach(f.dedup, &one, BFR_ACK_DISK);
    assert_int_equal(sender.answers, 1);
    bfr_dedup_free(f.dedup);
}

static void test_news_that_overtakes_the_acceptance_is_kept(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_DISK, 100);
    struct bfr_batch one = make("a", "one", 1);
    assert_int_equal(claim(&f, &one, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_reach(f.dedup, &one, BFR_ACK_DISK); // the pump was faster than the thread that put it
    assert_int_equal(sender.answers, 0);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    bfr_dedup_free(f.dedup);
}

static void test_window_ends(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    struct bfr_batch one = make("a", "one", 1), other = make("a", "two", 2);
    accept_new(&f, &one, BFR_ACK_MEMORY);
    fake_clock_advance(&f.clock, 59999 * BFR_NS_PER_MS);
    assert_int_equal(claim(&f, &one, &sender, &mine), BFR_CLAIMED_KNOWN);
    fake_clock_advance(&f.clock, BFR_NS_PER_MS);
    assert_int_equal(claim(&f, &other, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_fail(f.dedup, mine, BFR_ANSWER_BUSY, "end");
    bfr_dedup_free(f.dedup);
}

static void test_entries_are_bounded_but_never_those_still_waited_for(void **state)
{
    struct fixture f;
    struct sender pinned, sender;
    struct bfr_claim *mine, *none;
    char name[300][16];
    (void)state;
    open_fixture(&f, BFR_ACK_DISK, 50);
    struct bfr_batch first = make("pinned", "one", 1);
    assert_int_equal(claim(&f, &first, &pinned, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY); // below the level: pinned
    for (int i = 0; i < 300; i++) {
        snprintf(name[i], sizeof name[i], "f%d", i);
        struct bfr_batch batch = make(name[i], "x", i);
        accept_new(&f, &batch, BFR_ACK_DISK);
    }
    // Each of the 32 shards trims its own, when it is used: at most one final entry each beyond the limit.
    assert_in_range(bfr_dedup_count(f.dedup), 2, 50 + 32);
    fake_clock_advance(&f.clock, 3600 * BFR_NS_PER_S);
    assert_int_equal(claim(&f, &first, &sender, &none), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answers, 0); // waits with the first
    bfr_dedup_reach(f.dedup, &first, BFR_ACK_DISK);
    assert_int_equal(pinned.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    bfr_dedup_free(f.dedup);
}

static void test_keys_known_at_start(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_SINK, 100);
    int64_t now = bfr_clock_wall(&f.clock.clock);
    struct bfr_recent stored = {.size = sizeof stored, .tenant = "t", .dataset = "d", .filename = "stored"};
    stored.received_ns = now - 30 * (int64_t)BFR_NS_PER_S;
    memcpy(stored.source_sha256, "one", 3);
    struct bfr_recent held = stored, buried = stored, ancient = stored;
    held.filename = "held";
    buried.filename = "buried";
    ancient.filename = "ancient";
    ancient.received_ns = now - 61 * (int64_t)BFR_NS_PER_S;
    assert_true(bfr_dedup_remember(f.dedup, &ancient, BFR_ACK_SINK, false));
    assert_true(bfr_dedup_remember(f.dedup, &stored, BFR_ACK_SINK, false));
    assert_true(bfr_dedup_remember(f.dedup, &held, BFR_ACK_DISK, false));
    assert_true(bfr_dedup_remember(f.dedup, &buried, BFR_ACK_DISK, true));

    struct bfr_batch batch = make("stored", "one", 1);
    claim(&f, &batch, &sender, &mine);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    batch.filename = "buried";
    claim(&f, &batch, &sender, &mine);
    assert_int_equal(sender.answer, BFR_ANSWER_REFUSED);
    batch.filename = "ancient";
    assert_int_equal(claim(&f, &batch, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_fail(f.dedup, mine, BFR_ANSWER_BUSY, "end");

    batch.filename = "held";
    claim(&f, &batch, &sender, &mine);
    assert_int_equal(sender.answers, 0); // held on disk, but this daemon answers when the sink has it
    batch.received_ns = held.received_ns;
    bfr_dedup_reach(f.dedup, &batch, BFR_ACK_SINK);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);

    // The age counts from reception, not from the start.
    fake_clock_advance(&f.clock, 31 * BFR_NS_PER_S);
    batch.filename = "stored";
    assert_int_equal(claim(&f, &batch, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_fail(f.dedup, mine, BFR_ANSWER_BUSY, "end");
    bfr_dedup_free(f.dedup);
}

// A record that was dropped or redriven is told as stored, before or after the one that counts.
static void test_of_two_records_of_one_batch_the_one_that_is_behind_counts(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    for (int copy_first = 0; copy_first < 2; copy_first++) {
        open_fixture(&f, BFR_ACK_SINK, 100);
        int64_t now = bfr_clock_wall(&f.clock.clock);
        struct bfr_recent recent = {
            .size = sizeof recent, .tenant = "t", .dataset = "d", .filename = "a", .received_ns = now};
        memcpy(recent.source_sha256, "one", 3);
        if (copy_first)
            assert_true(bfr_dedup_remember(f.dedup, &recent, BFR_ACK_SINK, false));
        assert_true(bfr_dedup_remember(f.dedup, &recent, BFR_ACK_DISK, false));
        if (!copy_first)
            assert_true(bfr_dedup_remember(f.dedup, &recent, BFR_ACK_SINK, false));
        assert_int_equal(bfr_dedup_count(f.dedup), 1);

        struct bfr_batch batch = make("a", "one", 1);
        assert_int_equal(claim(&f, &batch, &sender, &mine), BFR_CLAIMED_KNOWN);
        assert_int_equal(sender.answers, 0); // no sink has it
        batch.received_ns = now;
        bfr_dedup_bury(f.dedup, &batch, BFR_REASON_ATTEMPTS, true);
        assert_int_equal(sender.answer, BFR_ANSWER_REFUSED);
        bfr_dedup_free(f.dedup);
    }
}

static void test_a_letter_that_is_taken_back_is_waited_for_again(void **state)
{
    struct fixture f;
    struct sender first, sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_SINK, 100);
    struct bfr_batch batch = make("a", "one", 1);
    assert_int_equal(claim(&f, &batch, &first, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_DISK);
    bfr_dedup_reopen(f.dedup, batch.tenant, batch.dataset, batch.filename); // under way: nothing to open
    bfr_dedup_bury(f.dedup, &batch, BFR_REASON_CONFLICT, true);
    assert_int_equal(claim(&f, &batch, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_CONFLICT);

    bfr_dedup_reopen(f.dedup, batch.tenant, batch.dataset, batch.filename);
    fake_clock_advance(&f.clock, 3600 * BFR_NS_PER_S); // held, so the window does not count
    assert_int_equal(claim(&f, &batch, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answers, 0);
    bfr_dedup_reach(f.dedup, &batch, BFR_ACK_SINK);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    bfr_dedup_reopen(f.dedup, batch.tenant, batch.dataset, batch.filename); // stored stays stored
    assert_int_equal(claim(&f, &batch, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    bfr_dedup_free(f.dedup);
}

static void test_abandoned_waiter_is_never_answered(void **state)
{
    struct fixture f;
    struct sender first, second;
    struct bfr_claim *mine, *none;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    struct bfr_batch one = make("a", "one", 1);
    assert_int_equal(claim(&f, &one, &first, &mine), BFR_CLAIMED_NEW);
    assert_int_equal(claim(&f, &one, &second, &none), BFR_CLAIMED_KNOWN);
    assert_true(bfr_dedup_abandon(f.dedup, &first.waiter));
    assert_false(bfr_dedup_abandon(f.dedup, &first.waiter));
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    assert_int_equal(first.answers, 0);
    assert_int_equal(second.answer, BFR_ANSWER_DUPLICATE); // the first sender did not hear, but it was the first
    assert_false(bfr_dedup_abandon(f.dedup, &second.waiter));
    bfr_dedup_free(f.dedup);
}

static void test_dismissal_answers_all_who_wait(void **state)
{
    struct fixture f;
    struct sender senders[40];
    struct bfr_claim *claims[40];
    char names[40][16];
    (void)state;
    open_fixture(&f, BFR_ACK_DISK, 100);
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        struct bfr_batch batch = make(names[i], "x", i);
        assert_int_equal(claim(&f, &batch, &senders[i], &claims[i]), BFR_CLAIMED_NEW);
        bfr_dedup_accept(f.dedup, claims[i], BFR_ACK_MEMORY);
    }
    bfr_dedup_dismiss(f.dedup, BFR_ANSWER_BUSY, "draining");
    for (int i = 0; i < 40; i++) {
        assert_int_equal(senders[i].answers, 1);
        assert_int_equal(senders[i].answer, BFR_ANSWER_BUSY);
    }
    bfr_dedup_free(f.dedup);
}

// --- many senders of one name at once

struct crowd {
    struct fixture *fixture;
    _Atomic int *taken;
    int rounds;
    _Atomic int duplicates, accepted;
};

static void *send_the_same(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < crowd->rounds; i++) {
        struct sender sender;
        struct bfr_claim *mine;
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        struct bfr_batch batch = make(name, "one", 1);
        if (claim(crowd->fixture, &batch, &sender, &mine) == BFR_CLAIMED_NEW) {
            atomic_fetch_add(crowd->taken, 1);
            bfr_dedup_accept(crowd->fixture->dedup, mine, BFR_ACK_MEMORY);
        }
        while (atomic_load(&sender.answers) == 0)
            sched_yield();
        if (sender.answer == BFR_ANSWER_ACCEPTED)
            atomic_fetch_add(&crowd->accepted, 1);
        if (sender.answer == BFR_ANSWER_DUPLICATE)
            atomic_fetch_add(&crowd->duplicates, 1);
    }
    return NULL;
}

static void test_concurrent_posts_of_one_name_are_taken_once(void **state)
{
    struct fixture f;
    _Atomic int taken = 0;
    pthread_t threads[4];
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100000);
    struct crowd crowd = {&f, &taken, 500, 0, 0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_the_same, &crowd), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(taken, 500);
    assert_int_equal(crowd.accepted, 500);
    assert_int_equal(crowd.duplicates, 1500);
    bfr_dedup_free(f.dedup);
}

static struct bfr_recent recent_of(const struct bfr_batch *batch)
{
    struct bfr_recent recent = {.size = sizeof recent,
                                .tenant = batch->tenant,
                                .dataset = batch->dataset,
                                .filename = batch->filename,
                                .received_ns = batch->received_ns};
    memcpy(recent.source_sha256, batch->source_sha256, sizeof recent.source_sha256);
    return recent;
}

static void test_a_key_that_a_queue_meets_is_known_and_never_takes_the_place_of_another(void **state)
{
    struct fixture f;
    struct sender first, sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    int64_t now = bfr_clock_wall(&f.clock.clock);
    struct bfr_batch found = make("found", "one", now), other = make("found", "two", now),
                     posted = make("posted", "one", now);
    struct bfr_recent recent = recent_of(&found), again = recent_of(&posted);
    assert_false(bfr_dedup_meet(f.dedup, &recent, BFR_ACK_DISK, false));
    assert_int_equal(claim(&f, &found, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(claim(&f, &other, &sender, &mine), BFR_CLAIMED_KNOWN);
    assert_int_equal(sender.answer, BFR_ANSWER_CONFLICT);
    // One that is being taken, or is in RAM alone, is no reason to give up what is on the disk.
    assert_int_equal(claim(&f, &posted, &first, &mine), BFR_CLAIMED_NEW);
    assert_false(bfr_dedup_meet(f.dedup, &again, BFR_ACK_DISK, false));
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_MEMORY);
    assert_int_equal(first.answer, BFR_ANSWER_ACCEPTED);
    assert_false(bfr_dedup_meet(f.dedup, &again, BFR_ACK_DISK, false));
    bfr_dedup_reach(f.dedup, &posted, BFR_ACK_DISK);
    assert_true(bfr_dedup_meet(f.dedup, &again, BFR_ACK_DISK, false));
    again = recent_of(&(struct bfr_batch){.tenant = "t", .dataset = "d", .filename = "posted"}); // other bytes
    assert_false(bfr_dedup_meet(f.dedup, &again, BFR_ACK_DISK, false));
    bfr_dedup_free(f.dedup);
}

static void test_a_key_is_released_only_for_the_batch_that_has_it(void **state)
{
    struct fixture f;
    struct sender sender;
    struct bfr_claim *mine;
    (void)state;
    open_fixture(&f, BFR_ACK_MEMORY, 100);
    struct bfr_batch batch = make("a", "one", 5), earlier = make("a", "one", 4), other = make("a", "two", 5);
    accept_new(&f, &batch, BFR_ACK_DISK);
    struct bfr_recent recent = recent_of(&earlier);
    bfr_dedup_release(f.dedup, &recent);
    recent = recent_of(&other);
    bfr_dedup_release(f.dedup, &recent);
    assert_int_equal(bfr_dedup_count(f.dedup), 1);
    recent = recent_of(&batch);
    bfr_dedup_release(f.dedup, &recent);
    assert_int_equal(bfr_dedup_count(f.dedup), 0);
    assert_int_equal(claim(&f, &other, &sender, &mine), BFR_CLAIMED_NEW);
    bfr_dedup_release(f.dedup, &recent); // pending: somebody is at it
    bfr_dedup_accept(f.dedup, mine, BFR_ACK_DISK);
    bfr_dedup_free(f.dedup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes_are_a_duplicate_and_others_a_conflict),
        cmocka_unit_test(test_same_bytes_wait_for_the_first_below_its_level),
        cmocka_unit_test(test_other_bytes_are_told_to_retry_while_the_first_is_undecided),
        cmocka_unit_test(test_key_is_free_after_a_failure_and_waiters_are_told),
        cmocka_unit_test(test_purge_frees_the_key_and_burial_does_not),
        cmocka_unit_test(test_ack_sink_says_why_a_buried_batch_failed),
        cmocka_unit_test(test_news_of_an_older_batch_of_the_same_name_is_ignored),
        cmocka_unit_test(test_news_that_overtakes_the_acceptance_is_kept),
        cmocka_unit_test(test_window_ends),
        cmocka_unit_test(test_entries_are_bounded_but_never_those_still_waited_for),
        cmocka_unit_test(test_keys_known_at_start),
        cmocka_unit_test(test_of_two_records_of_one_batch_the_one_that_is_behind_counts),
        cmocka_unit_test(test_a_letter_that_is_taken_back_is_waited_for_again),
        cmocka_unit_test(test_abandoned_waiter_is_never_answered),
        cmocka_unit_test(test_dismissal_answers_all_who_wait),
        cmocka_unit_test(test_concurrent_posts_of_one_name_are_taken_once),
        cmocka_unit_test(test_a_key_that_a_queue_meets_is_known_and_never_takes_the_place_of_another),
        cmocka_unit_test(test_a_key_is_released_only_for_the_batch_that_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
