// SPDX-License-Identifier: Apache-2.0
// Which shapes a pipeline may have, when it is ready, what it books of what its queues bring along and do by themselves, and
// what its metrics show.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_rig.h"

static void test_ready_says_why_not(void **state)
{
    struct rig rig;
    const char *reason = NULL;
    (void)state;
    rig_init(&rig);
    rig_create(&rig);
    assert_false(bfr_pipeline_ready(rig.pipeline, &reason));
    assert_string_equal(reason, "starting");
    rig_start(&rig);
    assert_true(bfr_pipeline_ready(rig.pipeline, &reason));
    struct rig_sender sender;
    rig_send(&rig, &sender, "t", "a.gz", "one");
    rig.queues[0]->limit_bytes = RIG_BODY_BYTES;
    assert_false(bfr_pipeline_ready(rig.pipeline, &reason));
    assert_string_equal(reason, "a queue is full");
    rig_settle(&rig);
    assert_true(bfr_pipeline_ready(rig.pipeline, &reason));
    // A queue that shows room and gives none: it keeps something back.
    int64_t reserved = rig.queues[0]->reserved_bytes;
    rig.queues[0]->reserved_bytes = RIG_BODY_BYTES;
    assert_false(bfr_pipeline_ready(rig.pipeline, &reason));
    assert_string_equal(reason, "a queue is full");
    rig.queues[0]->reserved_bytes = reserved;
    assert_true(bfr_pipeline_ready(rig.pipeline, &reason));
    assert_int_equal(rig.queues[0]->reserved_bytes, reserved); // what was asked for is given back
    bfr_pipeline_close(rig.pipeline);
    assert_false(bfr_pipeline_ready(rig.pipeline, &reason));
    assert_string_equal(reason, "draining");
    rig_close(&rig);
}

static void test_recovered_batches_are_booked_known_and_stored(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    struct fake_recovered found[3] = {{.held = true}, {.buried = true}, {.held = false}};
    static const char *const names[] = {"held.gz", "buried.gz", "stored.gz"};
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig_create(&rig);
    for (int i = 0; i < 3; i++) {
        struct bfr_batch *batch = rig_batch(&rig, "t", names[i], "one");
        found[i].recent = (struct bfr_recent){.size = sizeof found[i].recent,
                                              .tenant = "t",
                                              .dataset = "set",
                                              .filename = names[i],
                                              .body_bytes = RIG_BODY_BYTES,
                                              .received_ns = batch->received_ns};
        memcpy(found[i].recent.source_sha256, batch->source_sha256, 32);
        if (i < 2)
            found[i].batch = batch;
        else
            bfr_batch_release(batch);
    }
    rig.queues[0]->recovered = found;
    rig.queues[0]->recovered_count = 3;
    rig_start(&rig);
    assert_int_equal(rig_total(&rig).recovered_batches, 2);
    assert_int_equal(rig_total(&rig).held_batches, 1);
    assert_int_equal(rig_total(&rig).buried_batches, 1);
    for (int i = 0; i < 3; i++) {
        rig_send(&rig, &sender, "t", names[i], "one");
        assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
        rig_send(&rig, &sender, "t", names[i], "two");
        assert_int_equal(sender.answer, BFR_ANSWER_CONFLICT);
    }
    rig_settle(&rig);
    assert_int_equal(rig_total(&rig).stored_batches, 1);
    assert_int_equal(rig_total(&rig).accepted_batches, 0);
    rig_close(&rig);
    assert_int_equal(rig.lost, 0); // a stable queue keeps its dead letter
}

static void test_what_a_queue_does_by_itself_is_booked(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig.queue_plugins[0] = &fake_queue_stable;
    rig_create(&rig);
    rig_start(&rig);
    const struct bfr_host *host = rig.queues[0]->host;
    host->account(host, BFR_ACCOUNT_FOUND_HELD, "t", 5, 500);
    host->account(host, BFR_ACCOUNT_FOUND_BURIED, "u", 2, 20);
    host->account(host, BFR_ACCOUNT_BURIED, "t", 1, 100);
    host->account(host, BFR_ACCOUNT_PURGED_HELD, "t", 3, 300);
    host->account(host, BFR_ACCOUNT_PURGED_BURIED, "u", 1, 10);
    struct bfr_ledger_row total = rig_total(&rig);
    assert_int_equal(total.recovered_batches, 7);
    assert_int_equal(total.recovered_bytes, 520);
    assert_int_equal(total.held_batches, 1);
    assert_int_equal(total.held_bytes, 100);
    assert_int_equal(total.buried_batches, 2);
    assert_int_equal(total.buried_bytes, 110);
    assert_int_equal(total.purged_batches, 4);
    assert_int_equal(bfr_pipeline_unaccounted(rig.pipeline), 0);
    host->account(host, BFR_ACCOUNT_PURGED_HELD, "t", 1, 100);
    struct bfr_recent key = {
        .size = sizeof key, .tenant = "t", .dataset = "d", .filename = "a", .received_ns = host->wall_ns(host)};
    assert_false(host->remember(host, BFR_KEY_HELD, &key));
    assert_true(host->remember(host, BFR_KEY_HELD, &key)); // its repeat
    assert_false(host->remember(host, BFR_KEY_FREE, &key));
    assert_false(host->remember(host, BFR_KEY_BURIED, &key));
    assert_true(host->remember(host, BFR_KEY_HELD, &key));
    rig_close(&rig);
}

static void test_recovered_batch_answers_at_the_configured_level_only(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    struct fake_recovered found = {.held = true};
    (void)state;
    rig_init(&rig);
    rig.settings.ack = BFR_ACK_SINK;
    rig.queue_plugins[0] = &fake_queue_stable;
    rig_create(&rig);
    found.batch = rig_batch(&rig, "t", "a.gz", "one");
    found.recent = (struct bfr_recent){.size = sizeof found.recent,
                                       .tenant = "t",
                                       .dataset = "set",
                                       .filename = "a.gz",
                                       .body_bytes = RIG_BODY_BYTES,
                                       .received_ns = found.batch->received_ns};
    memcpy(found.recent.source_sha256, found.batch->source_sha256, 32);
    rig.queues[0]->recovered = &found;
    rig.queues[0]->recovered_count = 1;
    rig_start(&rig);
    rig_send(&rig, &sender, "t", "a.gz", "one");
    assert_int_equal(sender.answers, 0); // on disk, but a 200 means the sink has it
    rig_settle(&rig);
    assert_int_equal(sender.answer, BFR_ANSWER_DUPLICATE);
    assert_int_equal(rig.sinks[0]->taken, 1);
    rig_close(&rig);
}

// --- figures

static void test_metrics_show_the_ledger_and_cap_the_tenants(void **state)
{
    struct rig rig;
    struct rig_sender sender;
    (void)state;
    rig_init(&rig);
    rig.settings.metrics.tenant_labels = 2;
    rig_open(&rig);
    rig.sinks[0]->answer.outcome = FAKE_SINK_HOLD;
    rig_send(&rig, &sender, "a", "1.gz", "one");
    rig_send(&rig, &sender, "b", "1.gz", "one");
    rig_send(&rig, &sender, "c", "1.gz", "one");
    rig_send(&rig, &sender, "d", "1.gz", "one");
    fake_clock_advance(&rig.clock, 7 * BFR_NS_PER_S);
    assert_int_equal(rig_metric(&rig, "accepted_batches_total{tenant_id=\"a\"}"), 1);
    assert_int_equal(rig_metric(&rig, "accepted_bytes_total{tenant_id=\"b\"}"), RIG_BODY_BYTES);
    assert_int_equal(rig_metric(&rig, "held_batches{tenant_id=\"other\"}"), 2);
    assert_int_equal(rig_metric(&rig, "held_batches{tenant_id=\"c\"}"), -1);
    assert_int_equal(rig_metric(&rig, "unaccounted_batches{tenant_id=\"other\"}"), 0);
    assert_int_equal(rig_metric(&rig, "unaccounted_bytes{tenant_id=\"a\"}"), 0);
    assert_int_equal(rig_metric(&rig, "queue_batches{queue=\"queue0\"}"), 4);
    assert_int_equal(rig_metric(&rig, "queue_bytes{queue=\"queue0\"}"), 4 * RIG_BODY_BYTES);
    assert_in_range((int)rig_metric(&rig, "oldest_held_age_seconds"), 6, 7);
    rig_settle(&rig);
    assert_int_equal(rig_metric(&rig, "sink_in_flight{sink=\"sink0\"}"), 1);
    rig.sinks[0]->answer.outcome = BFR_STORED;
    fake_sink_complete(rig.sinks[0], BFR_STORED, 0);
    rig_settle(&rig);
    assert_int_equal(rig_metric(&rig, "stored_batches_total{tenant_id=\"a\"}"), 1);
    assert_int_equal(rig_metric(&rig, "stored_batches_total{tenant_id=\"other\"}"), 2);
    assert_int_equal(rig_metric(&rig, "sink_duration_seconds_count{sink=\"sink0\"}"), 4);
    assert_int_equal(rig_metric(&rig, "oldest_held_age_seconds"), 0);
    rig_close(&rig);
}

// --- shape

static void expect_refused(struct rig *rig, const char *says)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_pipeline *pipeline = NULL;
    const struct bfr_pipeline_setup setup = {.settings = &rig->settings,
                                             .clock = rig->env.clock,
                                             .metrics = rig->metrics,
                                             .queues = rig->queue_stages,
                                             .queue_count = rig->queue_count,
                                             .sinks = rig->sink_stages,
                                             .sink_count = rig->sink_count};
    assert_int_equal(bfr_pipeline_new(&setup, &pipeline, &err), BFR_EINVAL);
    if (strstr(err.text, says) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void test_impossible_shapes_are_refused_with_a_way_out(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig); // a volatile queue and a sink to play with
    rig.settings.ack = BFR_ACK_DISK;
    expect_refused(&rig, "plugin: disk");
    rig.settings.ack = BFR_ACK_MEMORY;
    rig.queue_count = 0;
    expect_refused(&rig, "plugin: memory");
    rig.queue_count = 1;
    rig.sink_count = 0;
    expect_refused(&rig, "no sink");
    rig.sink_count = 1;
    struct bfr_stage *queue = rig.queue_stages[0];
    rig.queue_stages[0] = rig.sink_stages[0];
    expect_refused(&rig, "where a queue is needed");
    rig.queue_stages[0] = queue;
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_says_why_not),
        cmocka_unit_test(test_recovered_batches_are_booked_known_and_stored),
        cmocka_unit_test(test_what_a_queue_does_by_itself_is_booked),
        cmocka_unit_test(test_recovered_batch_answers_at_the_configured_level_only),
        cmocka_unit_test(test_metrics_show_the_ledger_and_cap_the_tenants),
        cmocka_unit_test(test_impossible_shapes_are_refused_with_a_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
