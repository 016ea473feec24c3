// SPDX-License-Identifier: Apache-2.0
// A link to a sink under every kind of trouble, stepped by hand on a clock that stands still.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "fake_rig.h"

static void send_many(struct rig *rig, const char *tenant, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        struct rig_sender sender;
        char name[32];
        snprintf(name, sizeof name, "%s-%d.gz", tenant, i);
        rig_send(rig, &sender, tenant, name, name);
        assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
    }
}

static void test_busy_sink_holds_everything_and_is_not_pestered(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->busy = true;
    send_many(&rig, "t", 0, 5);
    rig_settle(&rig);
    uint64_t puts = rig.sinks[0]->puts;
    for (int i = 0; i < 100; i++)
        rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->puts, puts); // a blocked link waits for ready
    for (int i = 0; i < 60; i++)
        rig_advance_ms(&rig, 1000);
    assert_in_range(rig.sinks[0]->puts - puts, 1, 60); // and looks once per interval all the same
    assert_int_equal(rig_total(&rig).held_batches, 5);
    assert_int_equal(rig.queues[0]->last_attempts, 0); // being busy is charged to nobody
    assert_int_equal(fake_queue_leased(rig.queues[0]), 0);
    rig.sinks[0]->busy = false;
    rig.sinks[0]->host->ready(rig.sinks[0]->host);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).stored_batches, 5);
    rig_close(&rig);
}

static void test_partly_taken_group_puts_the_rest_back(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    send_many(&rig, "t", 0, 20);
    rig.sinks[0]->take_max = 1;
    for (int i = 0; i < 100 && rig_total(&rig).held_batches > 0; i++)
        rig_advance_ms(&rig, 1000);
    assert_int_equal(rig_total(&rig).stored_batches, 20);
    assert_int_equal(rig.sinks[0]->taken, 20);
    rig_close(&rig);
}

static struct fake_answer fail_every_third(void *arg, const struct bfr_delivery *delivery)
{
    int *count = arg;
    (void)delivery;
    return (struct fake_answer){.outcome = ++*count % 3 == 0 ? BFR_RETRY : BFR_STORED};
}

static void test_failing_every_third_delivery_stores_everything(void **state)
{
    struct rig rig;
    int count = 0;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->decide = fail_every_third;
    rig.sinks[0]->decide_arg = &count;
    send_many(&rig, "t", 0, 30);
    rig_settle(&rig);
    for (int i = 0; i < 200 && rig_total(&rig).held_batches > 0; i++)
        rig_advance_ms(&rig, 1000);
    assert_int_equal(rig_total(&rig).stored_batches, 30);
    assert_int_equal(rig.sinks[0]->taken, count);
    assert_int_equal(rig_metric(&rig, "sink_attempts_total{sink=\"sink0\",outcome=\"stored\"}"), 30);
    assert_int_equal(rig_metric(&rig, "sink_attempts_total{sink=\"sink0\",outcome=\"retry\"}"), count - 30);
    assert_false(bfr_pipeline_unaccounted(rig.pipeline));
    rig_close(&rig);
}

static void test_credit_bounds_what_is_in_flight(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    send_many(&rig, "t", 0, 100);
    rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->in_flight, 1);
    static const size_t ramp[] = {2, 4, 8, 8, 8}; // the fake's max_in_flight is 8
    for (size_t i = 0; i < sizeof ramp / sizeof ramp[0]; i++) {
        fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
        rig_settle(&rig);
        assert_int_equal(rig.sinks[0]->in_flight, ramp[i]);
    }
    fake_sink_complete(rig.sinks[0], BFR_RETRY, 0); // one burst of trouble
    rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->in_flight, 4);
    assert_int_equal(rig_metric(&rig, "sink_in_flight{sink=\"sink0\"}"), 4);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    rig_settle(&rig);
    rig_advance_ms(&rig, 60000);
    assert_int_equal(rig_total(&rig).stored_batches, 100);
    assert_int_equal(rig.sinks[0]->in_flight_peak, 8);
    rig_close(&rig);
}

static void test_group_costs_one_ack_call(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    send_many(&rig, "t", 0, 15);
    for (int i = 0; i < 4; i++) { // 1, 2, 4, 8
        rig_settle(&rig);
        fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    }
    rig_settle(&rig);
    assert_int_equal(rig.queues[0]->acks, 15);
    assert_int_equal(rig.queues[0]->ack_calls, 4);
    rig_close(&rig);
}

static void test_completing_twice_stores_once(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->twice = true;
    send_many(&rig, "t", 0, 10);
    struct capture capture = capture_begin();
    rig_settle(&rig);
    char *log = capture_end(&capture);
    assert_non_null(strstr(log, "second or late completion"));
    free(log);
    assert_int_equal(rig_total(&rig).stored_batches, 10);
    assert_int_equal(rig.queues[0]->acks, 10);
    rig_close(&rig);
}

// --- retry and burial

static void test_retry_waits_within_its_bounds_and_counts_attempts(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = BFR_RETRY;
    send_many(&rig, "t", 0, 1);
    uint64_t bound_ms = 1000;
    for (uint32_t attempt = 1; attempt <= 10; attempt++) {
        uint64_t due = rig_settle(&rig);
        uint64_t now = bfr_clock_now(rig.env.clock);
        assert_int_equal(rig.sinks[0]->taken, attempt);
        assert_int_equal(rig.queues[0]->last_attempts, attempt);
        assert_int_equal(rig.queues[0]->last_not_before_ns, due);
        assert_in_range(due - now, BFR_NS_PER_MS, bound_ms * BFR_NS_PER_MS);
        bound_ms = bound_ms * 2 > 60000 ? 60000 : bound_ms * 2;
        fake_clock_advance(&rig.clock, due - now);
    }
    assert_string_equal(rig.queues[0]->last_text, "fake trouble");
    assert_int_equal(rig_total(&rig).held_batches, 1); // attempts 0: never given up
    rig.sinks[0]->answer.outcome = BFR_STORED;
    rig_close(&rig);
}

static void test_retry_after_is_honoured(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_RETRY, .retry_after_ms = 30000};
    send_many(&rig, "t", 0, 1);
    uint64_t due = rig_settle(&rig);
    assert_true(due - bfr_clock_now(rig.env.clock) >= 30000 * BFR_NS_PER_MS);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    rig_advance_ms(&rig, 30000);
    rig_close(&rig);
}

static void test_out_of_attempts_is_buried_with_its_reason(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.settings.retry.attempts = 3;
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = BFR_RETRY;
    send_many(&rig, "t", 0, 1);
    rig_settle(&rig);
    for (int i = 0; i < 5; i++)
        rig_advance_ms(&rig, 60000);
    assert_int_equal(rig.sinks[0]->taken, 3);
    assert_int_equal(rig.queues[0]->last_burial_reason, BFR_REASON_ATTEMPTS);
    assert_int_equal(rig.queues[0]->last_burial_attempts, 3);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    assert_int_equal(rig_total(&rig).held_batches, 0);
    assert_int_equal(rig_metric(&rig, "buried_total{reason=\"attempts\"}"), 1);
    rig_close(&rig);
    assert_int_equal(rig.lost, 1); // a dead letter in a volatile queue ends with the process
}

static void test_rejected_is_buried_at_once_and_stays_a_duplicate(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_REJECT, .reason = BFR_REASON_BAD_GZIP};
    send_many(&rig, "t", 0, 1);
    rig_settle(&rig);
    assert_int_equal(rig.queues[0]->last_burial_reason, BFR_REASON_BAD_GZIP);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    rig_send(&rig, &sender, "t", "t-0.gz", "t-0.gz");
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(rig_metric(&rig, "buried_total{reason=\"bad_gzip\"}"), 1);
    assert_int_equal(rig_metric(&rig, "duplicates_total"), 1);
    rig_close(&rig);
}

// --- several sinks

static void test_two_sinks_one_rejects_the_other_stores(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.sink_count = 2;
    rig_open(&rig);
    assert_int_equal(rig.queues[0]->consumer_count, 2);
    assert_string_equal(rig.queues[0]->consumer_names[0], "sink0");
    assert_string_equal(rig.queues[0]->consumer_names[1], "sink1");
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_REJECT, .reason = BFR_REASON_REJECTED};
    rig.sinks[1]->answer.outcome = FAKE_SINK_HOLD;
    send_many(&rig, "t", 0, 1);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).held_batches, 1); // buried here, but the other is not done
    fake_sink_complete(rig.sinks[1], BFR_STORED, 0);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).held_batches, 0);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    assert_int_equal(rig_total(&rig).stored_batches, 0);
    rig_close(&rig);
}

static void test_one_sink_down_does_not_stop_the_other(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.sink_count = 2;
    rig_open(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_RETRY, .flags = BFR_OUTAGE};
    send_many(&rig, "t", 0, 10);
    rig_settle(&rig);
    assert_int_equal(rig.queues[0]->acks, 10); // all of the second sink's
    assert_int_equal(rig_total(&rig).held_batches, 10);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_STORED};
    for (int i = 0; i < 5; i++)
        rig_advance_ms(&rig, 1000);
    assert_int_equal(rig_total(&rig).stored_batches, 10);
    rig_close(&rig);
}

// --- the end of a sink

static bool find_failed(void *arg, const struct bfr_stage_status *stage)
{
    if (stage->state == BFR_HEALTH_FAILED)
        snprintf(arg, 256, "%s: %s", stage->stage, stage->reason);
    return true;
}

static void test_fatal_stops_leasing_and_health_says_why(void **state)
{
    struct rig rig;
    char found[256] = "";
    const char *reason;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = BFR_FATAL;
    send_many(&rig, "t", 0, 3);
    rig_settle(&rig);
    uint64_t taken = rig.sinks[0]->taken, leases = rig.queues[0]->lease_calls;
    rig_advance_ms(&rig, 600000);
    assert_int_equal(rig.sinks[0]->taken, taken);
    assert_int_equal(rig.queues[0]->lease_calls, leases);
    assert_int_equal(rig_total(&rig).held_batches, 3);
    assert_int_equal(rig.queues[0]->last_attempts, 0);
    assert_int_equal(rig_total(&rig).buried_batches, 0);
    bfr_pipeline_stages(rig.pipeline, find_failed, found);
    assert_non_null(strstr(found, "sink0"));
    assert_non_null(strstr(found, "fake trouble"));
    assert_true(bfr_pipeline_ready(rig.pipeline, &reason)); // there is room yet
    rig_close(&rig);
    assert_int_equal(rig.lost, 3);
}

static void test_a_reload_tries_a_target_again_that_gave_up_and_changes_the_limits(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = BFR_FATAL;
    send_many(&rig, "t", 0, 3);
    rig_settle(&rig);
    rig.sinks[0]->answer = (struct fake_answer){.outcome = BFR_RETRY};
    struct bfr_settings settings = rig.settings;
    settings.retry.attempts = 2;
    settings.retry.initial_ms = settings.retry.max_ms = 1;
    bfr_pipeline_retune(rig.pipeline, &settings);
    rig_settle(&rig);
    for (int i = 0; i < 20; i++)
        rig_advance_ms(&rig, 1000);
    assert_int_equal(rig_total(&rig).buried_batches, 3); // tried again, as often as the new limit has it
    rig.sinks[0]->answer.outcome = BFR_STORED;
    send_many(&rig, "t", 3, 1);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    rig_close(&rig);
}

static bool find_degraded(void *arg, const struct bfr_stage_status *stage)
{
    if (stage->state == BFR_HEALTH_DEGRADED)
        snprintf(arg, 256, "%s: %s", stage->stage, stage->reason);
    return true;
}

static void assert_silence(struct rig *rig, const char *expected)
{
    char found[256] = "";
    bfr_pipeline_stages(rig->pipeline, find_degraded, found);
    assert_string_equal(found, expected);
}

static void test_health_tells_of_a_sink_that_is_silent(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    send_many(&rig, "t", 0, 1);
    rig_settle(&rig);
    rig_advance_ms(&rig, 59000);
    assert_silence(&rig, "");
    rig_advance_ms(&rig, 1000);
    assert_silence(&rig, "sink0: has taken or finished nothing for 60 s although batches wait for it");
    rig.sinks[0]->answer.outcome = BFR_STORED;
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    rig_settle(&rig);
    assert_silence(&rig, "");
    rig_advance_ms(&rig, 600000); // without work silence is golden
    assert_silence(&rig, "");
    rig.sinks[0]->busy = true;
    send_many(&rig, "t", 1, 1);
    rig_settle(&rig);
    for (int i = 0; i < 60; i++)
        rig_advance_ms(&rig, 1000);
    assert_silence(&rig, "sink0: has taken or finished nothing for 60 s although batches wait for it");
    rig.sinks[0]->busy = false;
    rig.sinks[0]->host->ready(rig.sinks[0]->host);
    rig_settle(&rig);
    assert_silence(&rig, "");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy_sink_holds_everything_and_is_not_pestered),
        cmocka_unit_test(test_partly_taken_group_puts_the_rest_back),
        cmocka_unit_test(test_failing_every_third_delivery_stores_everything),
        cmocka_unit_test(test_credit_bounds_what_is_in_flight),
        cmocka_unit_test(test_group_costs_one_ack_call),
        cmocka_unit_test(test_completing_twice_stores_once),
        cmocka_unit_test(test_retry_waits_within_its_bounds_and_counts_attempts),
        cmocka_unit_test(test_retry_after_is_honoured),
        cmocka_unit_test(test_out_of_attempts_is_buried_with_its_reason),
        cmocka_unit_test(test_rejected_is_buried_at_once_and_stays_a_duplicate),
        cmocka_unit_test(test_two_sinks_one_rejects_the_other_stores),
        cmocka_unit_test(test_one_sink_down_does_not_stop_the_other),
        cmocka_unit_test(test_fatal_stops_leasing_and_health_says_why),
        cmocka_unit_test(test_a_reload_tries_a_target_again_that_gave_up_and_changes_the_limits),
        cmocka_unit_test(test_health_tells_of_a_sink_that_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
