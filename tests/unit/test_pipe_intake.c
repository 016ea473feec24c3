// SPDX-License-Identifier: Apache-2.0
// What a sender is told, when, and what happens to room and books on each way a batch can take through the front.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"

static void test_ack_memory_answers_when_first_queue_took_it(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    struct bfr_ledger_row total = rig_total(&rig);
    assert_int_equal(total.accepted_batches, 1);
    assert_int_equal(total.held_batches, 1);
    rig_settle(&rig);
    total = rig_total(&rig);
    assert_int_equal(total.stored_batches, 1);
    assert_int_equal(total.stored_bytes, RIG_BODY_BYTES);
    assert_int_equal(total.held_batches, 0);
    assert_int_equal(rig.sinks[0]->taken, 1);
    rig_close(&rig);
    assert_int_equal(rig.lost, 0);
}

static void test_full_first_queue_is_busy_and_gives_everything_back(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.queues[0]->put_mode = FAKE_PUT_BUSY;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    assert_int_equal(rig_total(&rig).accepted_batches, 0);
    rig.queues[0]->put_mode = FAKE_PUT_STORE;
    rig_send(&rig, &sender, "t", "a.gz", "two"); // other bytes: the key was given back
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    rig_close(&rig);
}

static void test_failed_first_queue_is_busy_whatever_it_says(void **state)
{
    static const uint32_t outcomes[] = {BFR_RETRY, BFR_REJECT};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        struct rig_sender sender;
        rig_init(&rig);
        rig.queue_plugins[0] = &fake_queue_stable;
        rig.settings.ack = BFR_ACK_DISK;
        rig_open(&rig);
        rig.queues[0]->put_outcome = outcomes[i];
        rig_send(&rig, &sender, "t", "a.gz", "one");
        assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
        assert_int_equal(rig.queues[0]->reserved_bytes, 0);
        assert_int_equal(rig_total(&rig).accepted_batches + rig_total(&rig).held_batches, 0);
        rig.queues[0]->put_outcome = 0;
        rig_send(&rig, &sender, "t", "a.gz", "one");
        assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
        rig_close(&rig);
    }
}

static void test_fatal_first_queue_is_unready_and_busy_at_once(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    const char *reason = NULL;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.queues[0]->put_outcome = BFR_FATAL;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_false(bfr_pipeline_ready(rig.pipeline, &reason));
    assert_non_null(reason);
    rig_send(&rig, &sender, "t", "b.gz", "two");
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_int_equal(rig.queues[0]->taken, 1); // not asked again
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    rig_close(&rig);
}

static void test_stable_first_queue_counts_when_it_has_completed(void **state)
{
    struct rig rig;
    struct rig_sender senders[5];
    char names[5][16];
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig.settings.ack = BFR_ACK_DISK;
    rig_open(&rig);
    rig.queues[0]->put_mode = FAKE_PUT_HOLD;
    for (int i = 0; i < 5; i++) {
        snprintf(names[i], sizeof names[i], "%d.gz", i);
        rig_send(&rig, &senders[i], "t", names[i], "one");
        assert_int_equal(senders[i].answers, 0);
    }
    assert_int_equal(rig_total(&rig).accepted_batches, 0);
    assert_int_equal(rig.queues[0]->reserved_bytes, 5 * RIG_BODY_BYTES);
    fake_queue_complete(rig.queues[0], BFR_STORED); // one group
    for (int i = 0; i < 5; i++)
        assert_int_equal(senders[i].answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(rig_total(&rig).accepted_batches, 5);
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    rig.queues[0]->put_mode = FAKE_PUT_STORE;
    rig_close(&rig);
}

static void test_ack_disk_waits_for_the_stable_queue(void **state)
{
    struct rig rig;
    struct rig_sender first, second;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig.settings.ack = BFR_ACK_DISK;
    rig_open(&rig);
    rig.queues[1]->put_mode = FAKE_PUT_HOLD;
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig_send(&rig, &first, "t", "a.gz", "one");
    rig_settle(&rig);
    assert_int_equal(first.answers, 0);
    assert_int_equal(rig_total(&rig).accepted_batches, 1); // in memory: accepted, though not at the level
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    assert_int_equal(rig.queues[1]->reserved_bytes, RIG_BODY_BYTES);
    rig_send(&rig, &second, "t", "a.gz", "one");
    assert_int_equal(second.answers, 0);
    fake_queue_complete(rig.queues[1], BFR_STORED);
    rig_settle(&rig);
    assert_int_equal(first.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(second.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    assert_int_equal(rig_total(&rig).accepted_batches, 1);
    assert_int_equal(rig_total(&rig).held_batches, 1); // counted once, wherever it is
    assert_int_equal(fake_queue_held(rig.queues[0]), 0);
    rig.queues[1]->put_mode = FAKE_PUT_STORE;
    rig.sinks[0]->answer.outcome = BFR_STORED;
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    rig_close(&rig);
}

static void test_failing_stable_queue_keeps_the_batch_in_memory_uncharged(void **state)
{
    static const uint32_t outcomes[] = {BFR_RETRY, BFR_REJECT};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        struct rig_sender sender;
        rig_init(&rig);
        rig.queue_plugins[1] = &fake_queue_stable;
        rig.queue_count = 2;
        rig.settings.ack = BFR_ACK_DISK;
        rig.settings.retry.attempts = 1;
        rig_open(&rig);
        rig.queues[1]->put_outcome = outcomes[i];
        rig_send(&rig, &sender, "t", "a.gz", "one");
        rig_settle(&rig);
        for (int turn = 0; turn < 20; turn++)
            rig_advance_ms(&rig, 60000);
        assert_in_range(rig.queues[1]->taken, 10, 21);
        assert_int_equal(sender.answers, 0);
        assert_int_equal(rig.queues[0]->last_attempts, 0);
        assert_int_equal(rig_total(&rig).buried_batches, 0);
        assert_int_equal(rig_total(&rig).held_batches, 1);
        assert_int_equal(rig.queues[1]->reserved_bytes, RIG_BODY_BYTES); // the room stays the batch's
        assert_true(bfr_intake_abandon(rig.pipeline, &sender.waiter));
        rig.queues[1]->put_outcome = 0;
        rig_advance_ms(&rig, 60000);
        assert_int_equal(rig_total(&rig).stored_batches, 1);
        assert_int_equal(sender.answers, 0);
        assert_int_equal(rig.queues[1]->reserved_bytes, 0);
        rig_close(&rig);
    }
}

static void test_ack_sink_waits_for_every_sink(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig.settings.ack = BFR_ACK_SINK;
    rig.sink_count = 2;
    rig_open(&rig);
    rig.sinks[1]->answer.outcome = FAKE_SINK_HOLD;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->taken, 1);
    assert_int_equal(sender.answers, 0);
    fake_sink_complete(rig.sinks[1], BFR_STORED, 0);
    rig_settle(&rig);
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    rig_close(&rig);
}

static void test_ack_sink_tells_a_conflict_from_a_refusal(void **state)
{
    static const struct {
        uint32_t reason, answer;
    } cases[] = {{BFR_REASON_CONFLICT, BFR_ANSWER_CONFLICT}, {BFR_REASON_REJECTED, BFR_ANSWER_REFUSED}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        struct rig_sender sender;
        rig_init(&rig);
        rig.settings.ack = BFR_ACK_SINK;
        rig.sink_count = 2;
        rig_open(&rig);
        rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_REJECT, .reason = cases[i].reason};
        rig_send(&rig, &sender, "t", "a.gz", "one");
        rig_settle(&rig);
        assert_int_equal(sender.answer, cases[i].answer);
        assert_int_equal(rig_total(&rig).buried_batches, 1); // the letter stays
        rig_close(&rig);
    }
}

// A sender that looks into the books the moment it is answered.
struct auditor {
    struct bfr_waiter waiter; // first
    struct rig *rig;
    struct bfr_ledger_row seen;
};

static void on_audit(struct bfr_waiter *waiter, uint32_t answer, const char *text)
{
    struct auditor *auditor = (struct auditor *)waiter;
    (void)text;
    assert_int_equal(answer, BFR_ANSWER_ACCEPTED);
    auditor->seen = rig_total(auditor->rig);
}

static void test_books_are_right_before_the_sender_hears(void **state)
{
    static const struct {
        uint32_t ack;
        size_t queues;
        uint64_t stored;
    } cases[] = {{BFR_ACK_MEMORY, 1, 0}, {BFR_ACK_SINK, 1, 1}, {BFR_ACK_SINK, 0, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig rig;
        struct auditor auditor = {.waiter.on_answer = on_audit, .rig = &rig};
        rig_init(&rig);
        rig.settings.ack = cases[i].ack;
        rig.queue_count = cases[i].queues;
        rig_open(&rig);
        struct bfr_batch *batch = rig_batch(&rig, "t", "a.gz", "one");
        assert_int_equal(bfr_intake_reserve(rig.pipeline, "t", batch->body_bytes), BFR_ROOM_OK);
        bfr_intake_submit(rig.pipeline, batch, &auditor.waiter);
        rig_settle(&rig);
        assert_int_equal(auditor.seen.accepted_batches, 1);
        assert_int_equal(auditor.seen.stored_batches, cases[i].stored);
        rig_close(&rig);
    }
}

static uint32_t flags_into_the_stable_queue(uint32_t ack)
{
    struct rig rig;
    struct rig_sender sender;
    rig_init(&rig);
    rig.settings.ack = ack;
    rig.queue_plugins[0] = &fake_queue_volatile;
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_create(&rig);
    rig_start(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(rig.queues[0]->last_put_flags, BFR_DELIVERY_AWAITED);
    rig_settle(&rig);
    uint32_t flags = rig.queues[1]->last_put_flags;
    rig_close(&rig);
    return flags;
}

static void test_a_queue_is_told_whether_a_sender_waits_for_it(void **state)
{
    (void)state;
    assert_int_equal(flags_into_the_stable_queue(BFR_ACK_MEMORY), 0);
    assert_int_equal(flags_into_the_stable_queue(BFR_ACK_DISK), BFR_DELIVERY_AWAITED);
    assert_int_equal(flags_into_the_stable_queue(BFR_ACK_SINK), BFR_DELIVERY_AWAITED);
}

// --- room

static void test_reserve_is_all_or_nothing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_open(&rig);
    rig.queues[1]->limit_bytes = 150;
    assert_int_equal(bfr_intake_reserve(rig.pipeline, "t", 100), BFR_ROOM_OK);
    assert_int_equal(bfr_intake_reserve(rig.pipeline, "t", 100), BFR_ROOM_FULL);
    assert_int_equal(rig.queues[0]->reserved_bytes, 100);
    assert_int_equal(rig.queues[1]->reserved_bytes, 100);
    bfr_intake_release(rig.pipeline, "t", 100);
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    rig.queues[0]->limit_bytes = 50;
    assert_int_equal(bfr_intake_reserve(rig.pipeline, "t", 100), BFR_ROOM_FULL);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    rig_close(&rig);
}

static void test_duplicates_conflicts_and_closing_release_their_room(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_open(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    rig_settle(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    rig_send(&rig, &sender, "t", "a.gz", "two");
    assert_int_equal(sender.answer, BFR_ANSWER_CONFLICT);
    bfr_pipeline_close(rig.pipeline);
    rig_send(&rig, &sender, "t", "b.gz", "two");
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_string_equal(sender.text, "draining");
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    rig_close(&rig);
}

static void test_queue_behind_a_stable_one_gets_its_room_from_the_link(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    struct fake_recovered recovered = {.held = true};
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_create(&rig);
    // One batch was there before this life, so nobody has reserved for it.
    recovered.batch = rig_batch(&rig, "t", "old.gz", "old");
    recovered.recent = (struct bfr_recent){.size = sizeof recovered.recent,
                                           .tenant = "t",
                                           .dataset = "set",
                                           .filename = "old.gz",
                                           .body_bytes = RIG_BODY_BYTES,
                                           .received_ns = recovered.batch->received_ns};
    rig.queues[0]->recovered = &recovered;
    rig.queues[0]->recovered_count = 1;
    rig.queues[0]->reserved_bytes = 0;
    rig_start(&rig);
    rig.queues[1]->limit_bytes = 150;
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0); // the intake reserved in the first one alone
    rig.queues[1]->put_outcome = BFR_RETRY;             // a failed put gives the room back
    rig_settle(&rig);
    assert_int_equal(rig.queues[1]->taken, 2);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    rig.queues[1]->put_outcome = 0;
    rig.queues[1]->put_mode = FAKE_PUT_BUSY; // so does one that is not taken
    rig_advance_ms(&rig, 60000);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    assert_int_equal(fake_queue_held(rig.queues[0]), 2);
    rig.queues[1]->put_mode = FAKE_PUT_STORE;
    for (int i = 0; i < 20; i++)
        rig_advance_ms(&rig, 60000);
    assert_int_equal(fake_queue_held(rig.queues[1]), 2);
    assert_int_equal(rig.queues[1]->reserved_bytes, 0);
    assert_int_equal(rig.queues[1]->reserved_lowest, 0);
    assert_int_equal(rig_total(&rig).recovered_batches, 1);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).stored_batches, 2);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ack_memory_answers_when_first_queue_took_it),
        cmocka_unit_test(test_full_first_queue_is_busy_and_gives_everything_back),
        cmocka_unit_test(test_failed_first_queue_is_busy_whatever_it_says),
        cmocka_unit_test(test_fatal_first_queue_is_unready_and_busy_at_once),
        cmocka_unit_test(test_stable_first_queue_counts_when_it_has_completed),
        cmocka_unit_test(test_ack_disk_waits_for_the_stable_queue),
        cmocka_unit_test(test_failing_stable_queue_keeps_the_batch_in_memory_uncharged),
        cmocka_unit_test(test_ack_sink_waits_for_every_sink),
        cmocka_unit_test(test_ack_sink_tells_a_conflict_from_a_refusal),
        cmocka_unit_test(test_books_are_right_before_the_sender_hears),
        cmocka_unit_test(test_a_queue_is_told_whether_a_sender_waits_for_it),
        cmocka_unit_test(test_reserve_is_all_or_nothing),
        cmocka_unit_test(test_duplicates_conflicts_and_closing_release_their_room),
        cmocka_unit_test(test_queue_behind_a_stable_one_gets_its_room_from_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
