// SPDX-License-Identifier: Apache-2.0
// The end: what is volatile is saved, what cannot be saved is counted and named, and stop always returns.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "fake_rig.h"

static void send_many(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        struct rig_sender sender;
        char name[32];
        snprintf(name, sizeof name, "%d.gz", i);
        rig_send(rig, &sender, "t", name, name);
        assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    }
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static void test_memory_is_emptied_into_the_sinks(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    send_many(&rig, 50);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_total(&rig).stored_batches, 50);
    assert_true(rig.queues[0]->drained && rig.queues[0]->stopped);
    assert_true(rig.sinks[0]->drained && rig.sinks[0]->stopped);
    rig_close(&rig);
}

static void test_memory_is_emptied_into_the_stable_queue_which_keeps_the_rest(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_open(&rig);
    rig.sinks[0]->busy = true;
    send_many(&rig, 50);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_total(&rig).held_batches, 50);
    assert_int_equal(fake_queue_held(rig.queues[0]), 0);
    assert_int_equal(fake_queue_held(rig.queues[1]), 50);
    rig_close(&rig);
}

static void test_stable_queue_passes_nothing_on_while_memory_is_emptied(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_open(&rig);
    send_many(&rig, 50);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig.sinks[0]->taken, 0); // time is short, and the disk is safe
    assert_int_equal(fake_queue_held(rig.queues[1]), 50);
    rig_close(&rig);
}

static void test_stable_queue_is_not_emptied_into_the_sinks(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig_open(&rig);
    send_many(&rig, 50);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig.sinks[0]->taken, 0); // the next start goes on
    assert_int_equal(rig_total(&rig).held_batches, 50);
    rig_close(&rig);
}

// Memory before a stable queue that refuses everything.
static void open_with_broken_disk(struct rig *rig, size_t sink_count)
{
    rig_init(rig);
    rig->queue_plugins[1] = &fake_queue_stable;
    rig->queue_count = 2;
    rig->sink_count = sink_count;
    rig_open(rig);
    rig->queues[1]->put_outcome = BFR_RETRY;
    rig->queues[1]->put_failures = 0;
}

static void test_memory_goes_straight_into_the_sinks_when_the_stable_queue_fails(void **state)
{
    struct rig rig;
    (void)state;
    for (size_t sinks = 1; sinks <= 2; sinks++) {
        open_with_broken_disk(&rig, sinks);
        send_many(&rig, 150); // more than one group
        rig_stop(&rig, 1000);
        assert_int_equal(rig.lost, 0);
        assert_int_equal(rig_total(&rig).stored_batches, 150);
        assert_int_equal(rig_total(&rig).held_batches, 0);
        assert_int_equal(fake_queue_held(rig.queues[1]), 0);
        for (size_t i = 0; i < sinks; i++)
            assert_int_equal(rig.sinks[i]->taken, 150);
        rig_close(&rig);
    }
}

static void test_what_neither_queue_nor_sink_takes_is_lost_and_counted(void **state)
{
    struct rig rig;
    (void)state;
    open_with_broken_disk(&rig, 2);
    rig.sinks[1]->busy = true; // one of two is not enough
    send_many(&rig, 30);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 30);
    assert_int_equal(rig_total(&rig).stored_batches, 0);
    assert_int_equal(rig_total(&rig).held_batches, 30);
    rig_close(&rig);
}

static void test_what_is_lost_is_counted_and_twenty_are_named(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->busy = true;
    send_many(&rig, 30);
    struct capture capture = capture_begin();
    rig_stop(&rig, 1000);
    char *log = capture_end(&capture);
    assert_int_equal(rig.lost, 30);
    assert_int_equal(count_of(log, "accepted batch is lost"), 20);
    assert_non_null(strstr(log, "count=30"));
    assert_non_null(strstr(log, "not_named=10"));
    assert_int_equal(count_of(log, "tenant=t dataset=set"), 20);
    assert_non_null(strstr(log, "filename=0.gz"));
    assert_non_null(strstr(log, "filename=19.gz"));
    free(log);
    rig_close(&rig);
}

static void test_dead_letters_in_memory_are_lost_by_name(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_REJECT, .reason = BFR_REASON_REJECTED};
    send_many(&rig, 2);
    rig_settle(&rig);
    struct capture capture = capture_begin();
    rig_stop(&rig, 1000);
    char *log = capture_end(&capture);
    assert_int_equal(rig.lost, 2);
    assert_int_equal(count_of(log, "dead letter is lost"), 2);
    free(log);
    rig_close(&rig);
}

static void test_dead_letters_on_disk_are_not_lost(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_open(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_REJECT, .reason = BFR_REASON_REJECTED};
    send_many(&rig, 2);
    rig_settle(&rig);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_total(&rig).buried_batches, 2);
    rig_close(&rig);
}

static void test_sink_that_never_completes_costs_its_batches_but_not_the_stop(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->mute = true;
    send_many(&rig, 3);
    rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->in_flight, 1);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 3);
    assert_int_equal(fake_queue_leased(rig.queues[0]), 0);
    assert_int_equal(rig_total(&rig).held_batches, 3);
    rig_close(&rig);
}

static void test_the_same_behind_a_stable_queue_loses_nothing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[1] = &fake_queue_stable;
    rig.queue_count = 2;
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->mute = true;
    send_many(&rig, 3);
    rig_settle(&rig);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(fake_queue_held(rig.queues[1]), 3);
    rig_close(&rig);
}

static void test_completion_after_stop_is_the_plugins_bug(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->mute = true;
    send_many(&rig, 1);
    rig_settle(&rig);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 1);
    struct capture capture = capture_begin();
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "after stop"));
    free(log);
    assert_int_equal(rig_total(&rig).stored_batches, 0);
    rig_close(&rig);
}

static void test_completion_inside_stop_still_counts(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->late = true;
    rig.sinks[0]->stop_outcome = BFR_STORED;
    send_many(&rig, 1);
    rig_settle(&rig);
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    rig_close(&rig);
}

static void test_giving_up_in_drain_is_charged_to_nobody(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig.settings.retry.attempts = 1;
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    send_many(&rig, 1);
    rig_settle(&rig);
    rig_stop(&rig, 1000); // drain completes with RETRY
    assert_int_equal(rig.lost, 0);
    assert_int_equal(rig_total(&rig).buried_batches, 0);
    assert_int_equal(rig_total(&rig).held_batches, 1);
    assert_int_equal(rig.queues[0]->last_attempts, 0);
    rig_close(&rig);
}

static void test_waiters_are_answered_at_the_end(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig.settings.ack = BFR_ACK_SINK;
    rig_open(&rig);
    rig.sinks[0]->busy = true;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    rig_settle(&rig);
    assert_int_equal(sender.answers, 0);
    rig_stop(&rig, 1000);
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_int_equal(sender.answers, 1);
    rig_close(&rig);
}

static void test_put_that_the_first_queue_never_completes_is_not_accepted(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig.settings.ack = BFR_ACK_DISK;
    rig_open(&rig);
    rig.queues[0]->put_mode = FAKE_PUT_HOLD;
    rig.queues[0]->mute = true;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    rig_stop(&rig, 1000);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_int_equal(rig_total(&rig).accepted_batches, 0);
    assert_int_equal(rig.queues[0]->reserved_bytes, 0);
    rig_close(&rig);
}

static void test_sink_that_finishes_only_when_drained_is_waited_for(void **state)
{
    (void)state;
    for (size_t queues = 0; queues < 2; queues++) {
        struct rig rig;
        struct rig_sender sender;
        rig_init(&rig);
        rig.queue_count = queues;
        rig.settings.ack = BFR_ACK_SINK;
        rig_open(&rig);
        rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
        rig.sinks[0]->stop_outcome = BFR_STORED; // in drain
        rig_send(&rig, &sender, "t", "a.gz", "one");
        rig_stop(&rig, 1000);
        assert_int_equal(rig.lost, 0);
        assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
        assert_int_equal(rig_total(&rig).stored_batches, 1);
        rig_close(&rig);
    }
}

static void test_direct_batch_that_never_ends_is_answered_busy(void **state)
{
    struct rig rig;
    struct rig_sender sender, late;
    (void)state;
    rig_init(&rig);
    rig.queue_count = 0;
    rig.settings.ack = BFR_ACK_SINK;
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->mute = true;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    rig_settle(&rig);
    rig_send(&rig, &late, "t", "b.gz", "one"); // still at the inlet
    rig_stop(&rig, 0);
    assert_int_equal(rig.sinks[0]->taken, 1);
    assert_int_equal(rig.lost, 0);
    assert_int_equal(sender.answer, BFR_ANSWER_BUSY);
    assert_int_equal(late.answer, BFR_ANSWER_BUSY);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_emptied_into_the_sinks),
        cmocka_unit_test(test_memory_is_emptied_into_the_stable_queue_which_keeps_the_rest),
        cmocka_unit_test(test_stable_queue_passes_nothing_on_while_memory_is_emptied),
        cmocka_unit_test(test_memory_goes_straight_into_the_sinks_when_the_stable_queue_fails),
        cmocka_unit_test(test_what_neither_queue_nor_sink_takes_is_lost_and_counted),
        cmocka_unit_test(test_stable_queue_is_not_emptied_into_the_sinks),
        cmocka_unit_test(test_what_is_lost_is_counted_and_twenty_are_named),
        cmocka_unit_test(test_dead_letters_in_memory_are_lost_by_name),
        cmocka_unit_test(test_dead_letters_on_disk_are_not_lost),
        cmocka_unit_test(test_sink_that_never_completes_costs_its_batches_but_not_the_stop),
        cmocka_unit_test(test_the_same_behind_a_stable_queue_loses_nothing),
        cmocka_unit_test(test_completion_after_stop_is_the_plugins_bug),
        cmocka_unit_test(test_completion_inside_stop_still_counts),
        cmocka_unit_test(test_giving_up_in_drain_is_charged_to_nobody),
        cmocka_unit_test(test_waiters_are_answered_at_the_end),
        cmocka_unit_test(test_put_that_the_first_queue_never_completes_is_not_accepted),
        cmocka_unit_test(test_sink_that_finishes_only_when_drained_is_waited_for),
        cmocka_unit_test(test_direct_batch_that_never_ends_is_answered_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
