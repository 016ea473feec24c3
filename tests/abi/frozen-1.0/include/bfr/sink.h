/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind SINK: puts batches where they are wanted in the end.
 *
 * The host owns retry, backoff, attempts, breaker, order, deadlines and dead letters. A sink tries once and says
 * truthfully what came of it. Most sinks want blocking_sink.h, which turns one blocking function into this table.
 */
#ifndef BFR_SINK_H
#define BFR_SINK_H

#include "batch.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bfr_sink_vtable {
    uint32_t size; /* sizeof(struct bfr_sink_vtable) */

    /* Take up to `count` deliveries; returns k: the first k are taken, the rest untouched. Each taken one is completed
     * exactly once through host->complete, from any thread, possibly before put returns. k < count means busy: call
     * host->ready when there is room again. Must not block for longer than it takes to queue the work. Deliveries may
     * be completed in any order. Required. [pump, started..draining] */
    size_t (*put)(void *self, const struct bfr_delivery *const *deliveries, size_t count);

    /* How many deliveries the sink can use at once; the host never has more in flight here. Asked once, after create.
     * NULL or 0: 32. [main, created] */
    uint32_t (*max_in_flight)(void *self);
};

#ifdef __cplusplus
}
#endif
#endif
