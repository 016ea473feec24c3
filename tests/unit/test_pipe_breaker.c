// SPDX-License-Identifier: Apache-2.0
// An outage as a whole pipeline sees it: opened, probed, ended; what is charged to whom, and how concurrency comes
// back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"

static void send_one(struct rig *rig, const char *tenant, int number)
{
    struct rig_sender sender;
    char name[32];
    snprintf(name, sizeof name, "%s-%d.gz", tenant, number);
    rig_send(rig, &sender, tenant, name, name);
    assert_int_equal(sender.answer, BFR_ANSWER_ACCEPTED);
}

static const struct fake_answer outage = {.outcome = BFR_RETRY, .flags = BFR_OUTAGE};
static const struct fake_answer stored = {.outcome = BFR_STORED};

static bool breaker_open(struct rig *rig)
{
    return rig_metric(rig, "breaker_open{sink=\"sink0\"}") == 1;
}

static void test_outage_opens_and_probes_once_per_interval(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = outage;
    for (int i = 0; i < 20; i++)
        send_one(&rig, i % 2 == 0 ? "even" : "odd", i);
    uint64_t due = rig_settle(&rig);
    assert_true(breaker_open(&rig));
    uint64_t taken = rig.sinks[0]->taken;
    assert_in_range(taken, 2, 4);
    for (int i = 0; i < 100; i++) {
        uint64_t now = bfr_clock_now(rig.env.clock);
        assert_in_range(due - now, 750 * BFR_NS_PER_MS, 1250 * BFR_NS_PER_MS);
        fake_clock_advance(&rig.clock, due - now);
        due = rig_settle(&rig);
        assert_int_equal(rig.sinks[0]->taken, ++taken); // one real batch, no more
    }
    assert_int_equal(rig.queues[0]->last_attempts, 0); // nothing is charged
    assert_int_equal(rig_total(&rig).held_batches, 20);
    rig.sinks[0]->answer = stored;
    rig_advance_ms(&rig, 2000);
    assert_int_equal(rig_total(&rig).stored_batches, 20); // and nobody waits for a backoff of his own
    assert_false(breaker_open(&rig));
    rig_close(&rig);
}

struct probes {
    char names[64][32];
    char tenants[64][32];
    int count;
};

static struct fake_answer note_probe(void *arg, const struct bfr_delivery *delivery)
{
    struct probes *probes = arg;
    strcpy(probes->names[probes->count % 64], delivery->batch->filename);
    strcpy(probes->tenants[probes->count++ % 64], delivery->batch->tenant);
    return outage;
}

static void test_probes_rotate_over_batches_and_tenants(void **state)
{
    struct rig rig;
    struct probes probes = {0};
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = outage;
    for (int i = 0; i < 4; i++)
        send_one(&rig, "a", i);
    send_one(&rig, "b", 0);
    send_one(&rig, "b", 1);
    rig_settle(&rig);
    assert_true(breaker_open(&rig));
    rig.sinks[0]->decide = note_probe;
    rig.sinks[0]->decide_arg = &probes;
    for (int i = 0; i < 8; i++)
        rig_advance_ms(&rig, 1300);
    assert_int_equal(probes.count, 8);
    for (int i = 1; i < 8; i++)
        assert_string_not_equal(probes.tenants[i], probes.tenants[i - 1]);
    for (int i = 2; i < 8; i++)
        assert_string_not_equal(probes.names[i], probes.names[i - 2]);
    rig.sinks[0]->decide = NULL;
    rig.sinks[0]->answer = stored;
    rig_close(&rig);
}

// One batch for ever says OUTAGE, the rest is fine.
static struct fake_answer bad_apple(void *arg, const struct bfr_delivery *delivery)
{
    (void)arg;
    return strcmp(delivery->batch->filename, "bad-0.gz") == 0 ? outage : stored;
}

static void test_one_bad_batch_is_not_an_outage_and_is_charged_when_others_pass(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.settings.retry.attempts = 4;
    rig_open(&rig);
    rig.sinks[0]->decide = bad_apple;
    send_one(&rig, "bad", 0);
    rig_settle(&rig);
    for (int i = 0; i < 20; i++)
        rig_advance_ms(&rig, 1300);
    assert_false(breaker_open(&rig));
    assert_int_equal(rig.queues[0]->last_attempts, 0); // alone it may be the far end
    assert_int_equal(rig_total(&rig).held_batches, 1);
    uint64_t taken = rig.sinks[0]->taken;
    send_one(&rig, "good", 0);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).stored_batches, 1); // it was not
    for (int i = 0; i < 10; i++)
        rig_advance_ms(&rig, 60000);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    assert_int_equal(rig.queues[0]->last_burial_reason, BFR_REASON_ATTEMPTS);
    assert_int_equal(rig.sinks[0]->taken, taken + 1 + 4); // charged from then on, four times
    assert_false(breaker_open(&rig));
    rig_close(&rig);
}

// All of one tenant fail as if the far end were away, another tenant's pass.
static struct fake_answer bad_tenant(void *arg, const struct bfr_delivery *delivery)
{
    (void)arg;
    return strcmp(delivery->batch->tenant, "bad") == 0 ? outage : stored;
}

static void test_one_tenants_fault_does_not_stop_the_others(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->decide = bad_tenant;
    for (int i = 0; i < 10; i++) {
        send_one(&rig, "bad", i);
        send_one(&rig, "good", i);
    }
    rig_settle(&rig);
    for (int i = 0; i < 30 && rig_total(&rig).stored_batches < 10; i++)
        rig_advance_ms(&rig, 1000);
    assert_int_equal(rig_total(&rig).stored_batches, 10);
    assert_int_equal(rig_total(&rig).held_batches, 10);
    rig.sinks[0]->decide = NULL;
    for (int i = 0; i < 30 && rig_total(&rig).held_batches > 0; i++)
        rig_advance_ms(&rig, 60000);
    rig_close(&rig);
}

static void test_outage_with_attempts_set_buries_nothing(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.settings.retry.attempts = 1;
    rig_open(&rig);
    rig.sinks[0]->answer = outage;
    for (int i = 0; i < 6; i++)
        send_one(&rig, i % 2 == 0 ? "a" : "b", i);
    rig_settle(&rig);
    for (int i = 0; i < 500; i++)
        rig_advance_ms(&rig, 1000);
    assert_int_equal(rig_total(&rig).buried_batches, 0);
    assert_int_equal(rig_total(&rig).held_batches, 6);
    rig.sinks[0]->answer = stored;
    rig_advance_ms(&rig, 2000);
    assert_int_equal(rig_total(&rig).stored_batches, 6);
    rig_close(&rig);
}

static struct fake_answer hold(void *arg, const struct bfr_delivery *delivery)
{
    (void)arg;
    (void)delivery;
    return (struct fake_answer){.outcome = FAKE_SINK_HOLD};
}

static void test_what_was_in_flight_when_the_breaker_opened_is_not_charged(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.settings.retry.attempts = 1;
    rig_open(&rig);
    for (int i = 0; i < 40; i++)
        send_one(&rig, "warm", i);
    rig_settle(&rig); // the window is at its limit
    rig.sinks[0]->decide = hold;
    for (int i = 0; i < 8; i++)
        send_one(&rig, i % 2 == 0 ? "a" : "b", i);
    rig_settle(&rig);
    assert_int_equal(rig.sinks[0]->in_flight, 8);
    // Two fail as an outage, the others in its wake without saying so.
    for (size_t i = 0; i < 2; i++)
        fake_sink_complete_token(rig.sinks[0], rig.sinks[0]->open[i].delivery.token, &outage);
    for (size_t i = 2; i < 8; i++)
        fake_sink_complete_token(rig.sinks[0], rig.sinks[0]->open[i].delivery.token,
                                 &(struct fake_answer){.outcome = BFR_RETRY});
    rig.sinks[0]->open_count = 0;
    rig_settle(&rig);
    assert_true(breaker_open(&rig));
    assert_int_equal(rig_total(&rig).buried_batches, 0);
    assert_int_equal(rig_total(&rig).held_batches, 8);
    rig.sinks[0]->decide = NULL;
    rig.sinks[0]->answer = stored;
    rig_advance_ms(&rig, 2000);
    assert_int_equal(rig_total(&rig).held_batches, 0);
    rig_close(&rig);
}

static void test_concurrency_ramps_after_an_outage(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = stored;
    for (int i = 0; i < 40; i++)
        send_one(&rig, "warm", i);
    rig_settle(&rig); // the window is at its limit now
    rig.sinks[0]->answer = outage;
    for (int i = 0; i < 40; i++)
        send_one(&rig, i % 2 == 0 ? "a" : "b", i);
    rig_settle(&rig);
    assert_true(breaker_open(&rig));
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig.sinks[0]->in_flight_peak = 0;
    rig_advance_ms(&rig, 1300);
    assert_int_equal(rig.sinks[0]->in_flight, 1); // the probe, and while it is out no other
    rig_advance_ms(&rig, 10000);
    assert_int_equal(rig.sinks[0]->in_flight, 1);
    static const size_t ramp[] = {1, 2, 4, 8, 8};
    for (size_t i = 0; i < sizeof ramp / sizeof ramp[0]; i++) {
        fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
        rig_settle(&rig);
        assert_int_equal(rig.sinks[0]->in_flight, ramp[i]);
    }
    rig.sinks[0]->answer = stored;
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).held_batches, 0);
    rig_close(&rig);
}

static bool find_degraded(void *arg, const struct bfr_stage_status *stage)
{
    if (stage->state == BFR_HEALTH_DEGRADED)
        snprintf(arg, 256, "%s: %s", stage->stage, stage->reason);
    return true;
}

static void test_outage_is_degraded_but_ready(void **state)
{
    struct rig rig;
    char found[256] = "";
    const char *reason;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig.sinks[0]->answer = outage;
    send_one(&rig, "a", 0);
    send_one(&rig, "b", 0);
    rig_settle(&rig);
    assert_true(bfr_pipeline_ready(rig.pipeline, &reason));
    bfr_pipeline_stages(rig.pipeline, find_degraded, found);
    assert_non_null(strstr(found, "sink0"));
    assert_non_null(strstr(found, "fake trouble"));
    rig.sinks[0]->answer = stored;
    rig_advance_ms(&rig, 2000);
    found[0] = '\0';
    bfr_pipeline_stages(rig.pipeline, find_degraded, found);
    assert_string_equal(found, "");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outage_opens_and_probes_once_per_interval),
        cmocka_unit_test(test_probes_rotate_over_batches_and_tenants),
        cmocka_unit_test(test_one_bad_batch_is_not_an_outage_and_is_charged_when_others_pass),
        cmocka_unit_test(test_one_tenants_fault_does_not_stop_the_others),
        cmocka_unit_test(test_outage_with_attempts_set_buries_nothing),
        cmocka_unit_test(test_what_was_in_flight_when_the_breaker_opened_is_not_charged),
        cmocka_unit_test(test_concurrency_ramps_after_an_outage),
        cmocka_unit_test(test_outage_is_degraded_but_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
