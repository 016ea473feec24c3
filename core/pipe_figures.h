// SPDX-License-Identifier: Apache-2.0
// The pipeline's metrics: counters at the events, and a collector for what must be consistent at one moment.
#ifndef BFR_CORE_PIPE_FIGURES_H
#define BFR_CORE_PIPE_FIGURES_H

#include <bfr/status.h>

#include "metrics.h"
#include "pipe_delivery.h"
#include "pipe_traffic.h"

#define BFR_REASON_COUNT (BFR_REASON_EXPIRED + 1)
// Who wanted letters to be tried again.
enum bfr_redriven_by { BFR_REDRIVEN_BY_REQUEST, BFR_REDRIVEN_BY_RECOVERY, BFR_REDRIVEN_BY_COUNT };

#define BFR_ATTEMPT_OUTCOMES 5 // stored, retry, outage, reject, fatal

// Of one sink. All series may be NULL (short of memory at start): updates accept that.
struct bfr_sink_figures {
    struct bfr_series *attempts[BFR_ATTEMPT_OUTCOMES];
    struct bfr_series *duration;
    struct bfr_traffic *traffic; // may be NULL
};

// Of the pipeline.
struct bfr_pipe_figures {
    struct bfr_series *duplicates;
    struct bfr_series *buried[BFR_REASON_COUNT];
    struct bfr_series *redriven[BFR_REDRIVEN_BY_COUNT];
};

void bfr_pipe_figures_init(struct bfr_pipe_figures *figures, struct bfr_metrics *metrics);
void bfr_sink_figures_init(struct bfr_sink_figures *figures, struct bfr_metrics *metrics, struct bfr_traffic *traffic,
                           const char *sink);
// One delivery to the sink has ended. [any]
void bfr_sink_figures_note(const struct bfr_sink_figures *figures, const struct bfr_slot *slot, uint64_t now_ns);

struct bfr_pipeline;
// The collector; `arg` is the pipeline.
void bfr_pipe_figures_collect(void *arg, struct bfr_metrics_writer *writer);

#endif
