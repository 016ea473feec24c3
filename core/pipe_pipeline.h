// SPDX-License-Identifier: Apache-2.0
// The pipeline as a whole: the chain of stages, one link with a pump thread per queue and consumer, the ledger, the
// duplicate memory. Built from created stages; owns their running life (start, drain, stop), not their memory.
#ifndef BFR_CORE_PIPE_PIPELINE_H
#define BFR_CORE_PIPE_PIPELINE_H

#include "config_settings.h"
#include "metrics.h"
#include "pipe_flows.h"
#include "pipe_intake.h"
#include "pipe_traffic.h"
#include "pipe_tap.h"
#include "plugin_stage.h"

struct bfr_pipeline_setup {
    const struct bfr_settings *settings; // ack, retry, dedup; copied
    const struct bfr_clock *clock;
    struct bfr_metrics *metrics;
    struct bfr_flows *flows;         // NULL: not kept; outlives the pipeline
    struct bfr_tap *tap;             // NULL: nobody ever listens; outlives the pipeline
    struct bfr_stage *const *queues; // in the order of the data's way, created; copied array
    size_t queue_count;
    struct bfr_stage *const *sinks; // created; at least one
    size_t sink_count;
    bool pumps;                  // false: no threads; tests call bfr_pipeline_step
    struct bfr_traffic *traffic; // NULL: not kept; outlives the pipeline
};

// Checks the shape (section 6 of the design: ack: memory needs a queue, ack: disk a STABLE one), hooks the stages, tells
// the queues their consumers. On failure nothing has been started. [main]
BFR_MUST_CHECK uint32_t bfr_pipeline_new(const struct bfr_pipeline_setup *setup, struct bfr_pipeline **out,
                                         struct bfr_err *err);
// Starts the stages from the sinks upwards, reads what the queues recovered, starts the pumps. On failure what was
// started is stopped again.
BFR_MUST_CHECK uint32_t bfr_pipeline_start(struct bfr_pipeline *pipeline, struct bfr_err *err);

// Would a batch be accepted now? False gives a static reason. [any]
bool bfr_pipeline_ready(struct bfr_pipeline *pipeline, const char **out_reason);

// A reload: retry, the duplicates' window and the cap of tenant labels as in `settings`; stages that gave up for good are tried
// again, whose own reload came before. [main]
void bfr_pipeline_retune(struct bfr_pipeline *pipeline, const struct bfr_settings *settings);

// From now on submit answers BUSY "draining".
void bfr_pipeline_close(struct bfr_pipeline *pipeline);
// Empty volatile queues into the stable one, or, without one, into the sinks; let deliveries in flight finish. Returns
// when done or at the deadline (monotonic). Then stops every stage. Returns the number of accepted batches that are
// neither stored nor in a stable queue: 0 means nothing was lost. Logs each loss. [main]
uint64_t bfr_pipeline_stop(struct bfr_pipeline *pipeline, uint64_t deadline_ns);
void bfr_pipeline_free(struct bfr_pipeline *pipeline);

// One turn of every pump at the clock's present time, in order; returns the time (monotonic) of the next thing to do, or
// UINT64_MAX. Only with pumps = false. [main]
uint64_t bfr_pipeline_step(struct bfr_pipeline *pipeline);

// One consistent snapshot: total first (tenant NULL), then per tenant; see ext/status.h. [any]
void bfr_pipeline_ledger(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_ledger_row *row),
                         void *arg);
// recovered + accepted - stored - held - buried - purged, batches; 0 unless there is a bug. [any]
int64_t bfr_pipeline_unaccounted(struct bfr_pipeline *pipeline);

// How each stage is, as the pipeline sees it (breaker, fatal, the plugin's own word). False: `visit` has stopped it. [any]
bool bfr_pipeline_stages(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_stage_status *stage),
                         void *arg);

// One queue's figures; all zero while it does not run.
struct bfr_queue_status {
    const char *name;
    const char *plugin;
    bool is_volatile;
    struct bfr_queue_stats stats;
};

struct bfr_sink_status {
    const char *name;
    const char *plugin;
    size_t in_flight;  // deliveries it is working on
    bool breaker_open; // unreachable, and only probed
};

// In the order of the data's way. `visit` returns false to stop. [any]
void bfr_pipeline_queues(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_queue_status *queue),
                         void *arg);
void bfr_pipeline_sinks(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_sink_status *sink),
                        void *arg);

#endif
