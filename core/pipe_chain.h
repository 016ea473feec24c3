// SPDX-License-Identifier: Apache-2.0
// The inside of the pipeline, for the files that make it up: pipe_pipeline.c (build), pipe_start.c, pipe_intake.c
// and pipe_direct.c (the front), pipe_stop.c, pipe_status.c and pipe_figures.c (what others see). Everything here is
// fixed once bfr_pipeline_new has returned, except the atomics and what has a lock of its own.
#ifndef BFR_CORE_PIPE_CHAIN_H
#define BFR_CORE_PIPE_CHAIN_H

#include <pthread.h>

#include "pipe_dedup.h"
#include "pipe_figures.h"
#include "pipe_ledger.h"
#include "pipe_link.h"
#include "pipe_pipeline.h"
#include "pipe_pump.h"

// One stage in the chain and what meets there.
struct bfr_port {
    struct bfr_pipeline *pipeline;
    struct bfr_stage *stage;
    struct bfr_deliveries *entry; // deliveries of the intake: first queue, or every sink without a queue; else NULL
    struct bfr_deliveries *deliveries;          // `entry` or the feeder's: where completions go
    struct bfr_link *feeder;                    // the link that puts here; NULL where the intake does
    size_t reader_first, reader_count;          // the links that lease here, in `runners`
    struct bfr_sink_figures figures;            // sinks
    struct bfr_runner *runner;                  // of the inlet
    pthread_mutex_t inlet_lock;                 // sinks without a queue: guards the two below
    struct bfr_slot *inlet_first, **inlet_last; // handed in by the loops, not yet put
    atomic_bool fatal;                          // answered the intake with FATAL
    uint32_t window;                            // sinks: most deliveries in flight
    bool rationed;                              // the intake reserves room here
    bool is_volatile;                           // queues
};

// What a pump turns: a link, or the inlet of a sink that has no queue before it.
struct bfr_runner {
    struct bfr_pipeline *pipeline;
    struct bfr_link *link;
    struct bfr_port *inlet;
    struct bfr_pump *pump; // NULL without pumps
};

struct bfr_pipeline {
    uint32_t ack;              // enum bfr_ack_level
    atomic_uint tenant_labels; // tenants with metrics of their own
    const struct bfr_clock *clock;
    struct bfr_metrics *metrics;
    struct bfr_port *ports; // queues, then sinks
    size_t queue_count, sink_count;
    struct bfr_runner *runners;
    size_t runner_count;
    struct bfr_ledger *ledger;
    struct bfr_flows *flows; // may be NULL
    struct bfr_tap *tap;     // may be NULL
    struct bfr_dedup *dedup;
    struct bfr_pipe_figures figures;
    _Atomic uint64_t tokens;
    uint32_t entry_level; // enum bfr_ack_level that a batch has once the first queue has stored it
    bool pumps;

    struct bfr_pump *recovery; // pipe_recovery.c; NULL without pumps
    struct bfr_rescue *rescue; // at the end, when the stable queue fails

    atomic_bool started;
    atomic_bool closed;
    atomic_bool halted;       // no more puts
    atomic_size_t submitting; // threads inside submit
    // Whoever waits for the pipeline to get somewhere (stop) waits for `progress` to change.
    atomic_bool watched;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t progress;
    pthread_rwlock_t visitors; // shared by those that work on dead letters (pipe_letters.c)
};

static inline size_t bfr_port_count(const struct bfr_pipeline *pipeline)
{
    return pipeline->queue_count + pipeline->sink_count;
}

// There is something to do for this runner's turn. [any]
void bfr_runner_wake(struct bfr_runner *runner);
// Something happened that a watcher may wait for; free of cost while nobody watches. [any]
void bfr_pipeline_note_progress(struct bfr_pipeline *pipeline);

// Wait until nobody works on dead letters any more; of a closed pipeline no more will. [main]
void bfr_pipeline_await_visitors(struct bfr_pipeline *pipeline);

// The figures of a queue; all zero when it does not run. [any]
void bfr_port_stats(const struct bfr_port *port, struct bfr_queue_stats *out);

// The intake's completions, for the first queue and for the sinks of a pipeline without one; `arg` is the port. [any]
void bfr_intake_on_queue_done(void *arg, struct bfr_slot *list, size_t count);
void bfr_direct_on_sink_done(void *arg, struct bfr_slot *list, size_t count);
// A queue's own entries in the books; `arg` is its port. [any]
bool bfr_pipeline_on_remember(void *arg, uint32_t state, const struct bfr_recent *recent);
void bfr_pipeline_on_account(void *arg, uint32_t entry, const char *tenant, uint64_t batches, uint64_t body_bytes);
// Hand a claimed batch to every sink at once. Takes the reference and the claim.
void bfr_direct_submit(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_claim *claim);
// Put what stands at a sink's inlet. [pump]
void bfr_direct_turn(struct bfr_port *port);

#endif
