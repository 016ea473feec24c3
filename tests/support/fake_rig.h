// SPDX-License-Identifier: Apache-2.0
// A whole pipeline of fakes, made and taken down in one call each, with batches and waiters to push through it.
#ifndef BFR_TESTS_FAKE_RIG_H
#define BFR_TESTS_FAKE_RIG_H

#include "fake_clock.h"
#include "fake_queue.h"
#include "fake_sink.h"
#include "pipe_pipeline.h"

#define RIG_STAGES_MAX 4
#define RIG_BODY_BYTES 100 // of every batch

struct rig {
    // Set before rig_open; rig_init gives defaults: ack: memory, one volatile queue, one sink, stepped by hand.
    struct bfr_settings settings;
    const struct bfr_plugin *queue_plugins[RIG_STAGES_MAX];
    size_t queue_count, sink_count;
    bool pumps; // then the clock is the system's

    // After rig_create; rig_open = create + start.
    struct fake_clock clock;
    struct bfr_stage_env env;
    struct bfr_metrics *metrics;
    struct bfr_stage *queue_stages[RIG_STAGES_MAX], *sink_stages[RIG_STAGES_MAX];
    struct fake_queue *queues[RIG_STAGES_MAX];
    struct fake_sink *sinks[RIG_STAGES_MAX];
    struct bfr_pipeline *pipeline;
    _Atomic int64_t batches_alive;
    uint64_t lost; // what stop said
};

// A sender and what it was told.
struct rig_sender {
    struct bfr_waiter waiter; // first
    _Atomic uint32_t answer;  // 0 = none yet
    _Atomic uint32_t answers; // how often
    const char *text;
};

void rig_init(struct rig *rig);
void rig_create(struct rig *rig); // stages and pipeline, not started: set up the fakes here
void rig_start(struct rig *rig);
void rig_open(struct rig *rig);
// Close, stop (unless done), free; checks that no batch is left, no reservation is open and the ledger balances.
void rig_stop(struct rig *rig, uint64_t grace_ms);
void rig_close(struct rig *rig);

// `body` decides the hash; equal text, equal hash.
struct bfr_batch *rig_batch(struct rig *rig, const char *tenant, const char *filename, const char *body);
// Reserve and submit, as the edge does.
void rig_send(struct rig *rig, struct rig_sender *sender, const char *tenant, const char *filename, const char *body);
// Turns until nothing is due now. Returns the next due time.
uint64_t rig_settle(struct rig *rig);
void rig_advance_ms(struct rig *rig, uint64_t ms); // and settle
struct bfr_ledger_row rig_total(struct rig *rig);
// The value of a series on the metrics page ("name{labels}"), or -1.
double rig_metric(struct rig *rig, const char *series);

#endif
