// SPDX-License-Identifier: Apache-2.0
// See fake_rig.h.
#include "fake_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bug.h"

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->settings.ack = BFR_ACK_MEMORY;
    rig->settings.retry.initial_ms = 1000;
    rig->settings.retry.max_ms = 60000;
    rig->settings.retry.probe_interval_ms = 1000;
    rig->settings.dedup.window_ms = 3600000;
    rig->settings.dedup.max_entries = 1000;
    rig->settings.metrics.tenant_labels = 200;
    rig->queue_plugins[0] = &fake_queue_volatile;
    rig->queue_count = 1;
    rig->sink_count = 1;
    fake_clock_init(&rig->clock);
}

static struct bfr_stage *stage_make(struct rig *rig, const struct bfr_plugin *plugin, const char *kind, size_t index)
{
    char name[32];
    struct bfr_err err = {.size = sizeof err};
    snprintf(name, sizeof name, "%s%zu", kind, index);
    struct bfr_stage *stage = bfr_stage_new(plugin, name, NULL, &rig->env);
    assert_non_null(stage);
    assert_int_equal(bfr_stage_create(stage, &err), BFR_OK);
    return stage;
}

void rig_create(struct rig *rig)
{
    const struct bfr_clock *clock = rig->pumps ? &bfr_clock_system : &rig->clock.clock;
    struct bfr_err err = {.size = sizeof err};
    rig->metrics = bfr_metrics_new();
    rig->env = (struct bfr_stage_env){.clock = clock, .metrics = rig->metrics};
    for (size_t i = 0; i < rig->queue_count; i++) {
        rig->queue_stages[i] = stage_make(rig, rig->queue_plugins[i], "queue", i);
        rig->queues[i] = bfr_stage_self(rig->queue_stages[i]);
    }
    for (size_t i = 0; i < rig->sink_count; i++) {
        rig->sink_stages[i] = stage_make(rig, &fake_sink_plugin, "sink", i);
        rig->sinks[i] = bfr_stage_self(rig->sink_stages[i]);
    }
    const struct bfr_pipeline_setup setup = {
        .settings = &rig->settings,
        .clock = clock,
        .metrics = rig->metrics,
        .queues = rig->queue_stages,
        .queue_count = rig->queue_count,
        .sinks = rig->sink_stages,
        .sink_count = rig->sink_count,
        .pumps = rig->pumps,
    };
    uint32_t status = bfr_pipeline_new(&setup, &rig->pipeline, &err);
    if (status != BFR_OK)
        fail_msg("pipeline: %s", err.text);
}

void rig_start(struct rig *rig)
{
    struct bfr_err err = {.size = sizeof err};
    if (bfr_pipeline_start(rig->pipeline, &err) != BFR_OK)
        fail_msg("start: %s", err.text);
}

void rig_open(struct rig *rig)
{
    rig_create(rig);
    rig_start(rig);
}

void rig_stop(struct rig *rig, uint64_t grace_ms)
{
    const struct bfr_clock *clock = rig->env.clock;
    rig->lost = bfr_pipeline_stop(rig->pipeline, bfr_clock_now(clock) + grace_ms * BFR_NS_PER_MS);
}

void rig_close(struct rig *rig)
{
    if (bfr_stage_state(rig->sink_stages[0]) == BFR_STAGE_STARTED)
        rig_stop(rig, 5000);
    assert_int_equal(bfr_pipeline_unaccounted(rig->pipeline), 0);
    for (size_t i = 0; i < rig->queue_count; i++) {
        assert_true(rig->queues[i]->reserved_lowest >= 0);
        assert_int_equal(fake_queue_leased(rig->queues[i]), 0);
    }
    bfr_pipeline_free(rig->pipeline);
    for (size_t i = 0; i < rig->queue_count; i++)
        bfr_stage_free(rig->queue_stages[i]);
    for (size_t i = 0; i < rig->sink_count; i++)
        bfr_stage_free(rig->sink_stages[i]);
    bfr_metrics_free(rig->metrics);
    assert_int_equal(atomic_load(&rig->batches_alive), 0);
}

// --- batches and senders

static void on_body_free(void *arg)
{
    struct rig *rig = arg;
    atomic_fetch_sub(&rig->batches_alive, 1);
}

struct bfr_batch *rig_batch(struct rig *rig, const char *tenant, const char *filename, const char *body)
{
    static _Atomic int64_t serial;
    static const uint8_t bytes[RIG_BODY_BYTES] = {0};
    const struct bfr_span span = {bytes, sizeof bytes};
    struct bfr_batch source = {
        .size = sizeof source,
        .account = "account",
        .tenant = tenant,
        .dataset = "set",
        .filename = filename,
        .batch_id = "unknown",
        .data_hint = "unknown",
        .content_type = "",
        .received_ns = bfr_clock_wall(rig->env.clock) + atomic_fetch_add(&serial, 1),
        .body_bytes = sizeof bytes,
        .span_count = 1,
        .spans = &span,
    };
    memcpy(source.source_sha256, body, strnlen(body, sizeof source.source_sha256));
    memcpy(source.stored_sha256, source.source_sha256, sizeof source.stored_sha256);
    atomic_fetch_add(&rig->batches_alive, 1);
    struct bfr_batch *batch = bfr_batch_new(&source, on_body_free, rig);
    bfr_must(batch != NULL);
    return batch;
}

static void on_answer(struct bfr_waiter *waiter, uint32_t answer, const char *text)
{
    struct rig_sender *sender = (struct rig_sender *)waiter;
    sender->text = text;
    atomic_store(&sender->answer, answer);
    atomic_fetch_add(&sender->answers, 1); // last: who waits for it may be gone then
}

void rig_send(struct rig *rig, struct rig_sender *sender, const char *tenant, const char *filename, const char *body)
{
    memset(sender, 0, sizeof *sender);
    sender->waiter.on_answer = on_answer;
    struct bfr_batch *batch = rig_batch(rig, tenant, filename, body);
    bfr_must(bfr_intake_reserve(rig->pipeline, tenant, batch->body_bytes) == BFR_ROOM_OK);
    bfr_intake_submit(rig->pipeline, batch, &sender->waiter);
}

uint64_t rig_settle(struct rig *rig)
{
    uint64_t due = 0;
    // A pipeline that always wants another turn at once would hang its pumps the same way.
    for (int turns = 0; turns < 1000; turns++) {
        due = bfr_pipeline_step(rig->pipeline);
        if (due > bfr_clock_now(rig->env.clock))
            return due;
    }
    bfr_bug("the pipeline never comes to rest");
}

void rig_advance_ms(struct rig *rig, uint64_t ms)
{
    fake_clock_advance(&rig->clock, ms * BFR_NS_PER_MS);
    rig_settle(rig);
}

static bool keep_first(void *arg, const struct bfr_ledger_row *row)
{
    *(struct bfr_ledger_row *)arg = *row;
    return false;
}

struct bfr_ledger_row rig_total(struct rig *rig)
{
    struct bfr_ledger_row total = {0};
    bfr_pipeline_ledger(rig->pipeline, keep_first, &total);
    return total;
}

double rig_metric(struct rig *rig, const char *series)
{
    size_t size;
    char line[256];
    char *page = bfr_metrics_render(rig->metrics, &size);
    snprintf(line, sizeof line, "\nbytefreezer_receiver_%s ", series);
    const char *at = page != NULL ? strstr(page, line) : NULL;
    double value = at != NULL ? strtod(at + strlen(line), NULL) : -1;
    free(page);
    return value;
}
