// SPDX-License-Identifier: Apache-2.0
// Short of memory: a sender is told to come back, room and key go back, a batch in flight stays where it was. Every
// allocation of a way through the pipeline fails once, by linking this test with --wrap.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_rig.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long countdown = -1; // the allocation that fails; -1 = none
static bool has_failed;

static bool fails(void)
{
    if (countdown < 0 || countdown-- > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

// The fakes may not fail: they stand for plugins. Their list is what allocates, in put.
static void submit_with_failure(struct rig *rig, struct bfr_batch *batch, struct rig_sender *sender, long nth)
{
    has_failed = false;
    countdown = nth;
    bfr_intake_submit(rig->pipeline, batch, &sender->waiter);
    countdown = -1;
}

static void on_answer(struct bfr_waiter *waiter, uint32_t answer, const char *text)
{
    struct rig_sender *sender = (struct rig_sender *)waiter;
    sender->text = text;
    sender->answers++;
    sender->answer = answer;
}

// Fail allocation 0, 1, 2, ... of a submit until one goes through without a failure.
static void fail_each_allocation(size_t queues)
{
    for (long nth = 0;; nth++) {
        struct rig rig;
        struct rig_sender sender = {.waiter.on_answer = on_answer};
        rig_init(&rig);
        rig.queue_count = queues;
        rig.settings.ack = queues > 0 ? BFR_ACK_MEMORY : BFR_ACK_SINK;
        rig_open(&rig);
        if (queues > 0)
            rig.queues[0]->put_mode = FAKE_PUT_HOLD;
        struct bfr_batch *batch = rig_batch(&rig, "t", "a.gz", "one");
        assert_int_equal(bfr_intake_reserve(rig.pipeline, "t", batch->body_bytes), BFR_ROOM_OK);
        submit_with_failure(&rig, batch, &sender, nth);
        bool failed = has_failed, refused = sender.answer == BFR_ANSWER_BUSY;
        if (refused) {
            assert_int_equal(sender.answers, 1);
            if (queues > 0)
                assert_int_equal(rig.queues[0]->reserved_bytes, 0);
            assert_int_equal(rig.batches_alive, 0);
        }
        if (queues > 0) {
            rig.queues[0]->put_mode = FAKE_PUT_HOLD;
            fake_queue_complete(rig.queues[0], BFR_STORED);
            rig.queues[0]->put_mode = FAKE_PUT_STORE;
        }
        rig_settle(&rig);
        assert_int_equal(sender.answers, 1);
        if (refused) { // the key is free: other bytes under the name are welcome
            rig_send(&rig, &sender, "t", "a.gz", "two");
            rig_settle(&rig);
            assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
        }
        rig_settle(&rig);
        rig_advance_ms(&rig, 2000);
        assert_int_equal(rig_total(&rig).stored_batches, 1);
        rig_close(&rig);
        assert_int_equal(rig.lost, 0);
        if (!failed) {
            assert_true(nth >= 3); // row, claim, slots: there was something to fail
            return;
        }
    }
}

static void test_submit_survives_every_failing_allocation(void **state)
{
    (void)state;
    fail_each_allocation(1);
}

static void test_submit_without_a_queue_survives_every_failing_allocation(void **state)
{
    (void)state;
    fail_each_allocation(0);
}

static void test_pump_without_memory_leaves_the_batch_where_it_is(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    countdown = 0;
    rig_settle(&rig);
    countdown = -1;
    assert_true(has_failed);
    assert_int_equal(rig_total(&rig).held_batches, 1);
    assert_int_equal(fake_queue_leased(rig.queues[0]), 0);
    assert_int_equal(rig.queues[0]->last_attempts, 0);
    rig_advance_ms(&rig, 2000);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    rig_close(&rig);
}

static void test_building_a_pipeline_fails_whole(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    for (long nth = 0;; nth++) {
        struct bfr_err err = {.size = sizeof err};
        struct bfr_pipeline *pipeline = NULL;
        struct bfr_stage *queue = bfr_stage_new(&fake_queue_volatile, "q", NULL, &rig.env);
        struct bfr_stage *sink = bfr_stage_new(&fake_sink_plugin, "s", NULL, &rig.env);
        assert_int_equal(bfr_stage_create(queue, &err), BFR_OK);
        assert_int_equal(bfr_stage_create(sink, &err), BFR_OK);
        const struct bfr_pipeline_setup setup = {.settings = &rig.settings,
                                                 .clock = rig.env.clock,
                                                 .metrics = rig.metrics,
                                                 .queues = &queue,
                                                 .queue_count = 1,
                                                 .sinks = &sink,
                                                 .sink_count = 1,
                                                 .pumps = true};
        has_failed = false;
        countdown = nth;
        uint32_t status = bfr_pipeline_new(&setup, &pipeline, &err);
        countdown = -1;
        bool done = !has_failed;
        if (status != BFR_OK) {
            assert_int_equal(status, BFR_ENOMEM);
            assert_null(pipeline);
        }
        if (!done)
            bfr_pipeline_free(pipeline); // metrics alone may be missing
        bfr_stage_free(queue);
        bfr_stage_free(sink);
        if (done) {
            assert_int_equal(status, BFR_OK);
            bfr_pipeline_free(pipeline);
            break;
        }
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_survives_every_failing_allocation),
        cmocka_unit_test(test_submit_without_a_queue_survives_every_failing_allocation),
        cmocka_unit_test(test_pump_without_memory_leaves_the_batch_where_it_is),
        cmocka_unit_test(test_building_a_pipeline_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
