/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink from one blocking function, in the static library libbfr-sdk. The helper runs `store` on worker threads, keeps
 * a bounded hand-over, completes each delivery exactly once, and drains.
 *
 *     static void store(void *self, const struct bfr_batch *batch, struct bfr_result *out) { ... }
 *
 *     create:  me->pool = bfr_blocking_sink_new(host, 4, store, me, err);
 *     start:   return bfr_blocking_sink_start(me->pool, err);
 *     put:     return bfr_blocking_sink_put(me->pool, deliveries, count);
 *     drain:   bfr_blocking_sink_drain(me->pool, deadline_ns);
 *     stop:    bfr_blocking_sink_stop(me->pool);
 *     destroy: bfr_blocking_sink_free(me->pool);
 */
#ifndef BFR_BLOCKING_SINK_H
#define BFR_BLOCKING_SINK_H

#include "host.h"
#include "text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What `store` says; starts as BFR_STORED. The setters below are the comfortable form. */
struct bfr_result {
    uint32_t outcome; /* enum bfr_outcome */
    uint32_t flags;   /* BFR_OUTAGE */
    uint32_t reason;  /* enum bfr_reason, with BFR_REJECT */
    uint64_t retry_after_ms;
    char text[512];
};

/* Store one batch; may block; runs on a worker thread, concurrently with itself. A process-wide stop does not
 * interrupt it: bound every wait. [plugin, started..stop] */
typedef void (*bfr_store_fn)(void *self, const struct bfr_batch *batch, struct bfr_result *out);

struct bfr_blocking_sink;

/* `workers` threads (1 to 64), started later. Returns NULL with err->text written when memory is short or `workers` is
 * out of range. `host` and `self` are borrowed until free. [main, create] */
struct bfr_blocking_sink *bfr_blocking_sink_new(const struct bfr_host *host, uint32_t workers, bfr_store_fn store,
                                                void *self, struct bfr_err *err);

/* Start the workers: named after the stage, all signals blocked. When it fails none is left running. [main, created] */
uint32_t bfr_blocking_sink_start(struct bfr_blocking_sink *pool, struct bfr_err *err);

/* As sink.put: takes what fits, calls host->ready when a refused caller may try again. Each taken delivery is completed
 * exactly once. [pump, started..draining] */
size_t bfr_blocking_sink_put(struct bfr_blocking_sink *pool, const struct bfr_delivery *const *deliveries,
                             size_t count);

/* Wait until all taken deliveries are completed, or the deadline (host->monotonic_ns). [main] */
void bfr_blocking_sink_drain(struct bfr_blocking_sink *pool, uint64_t deadline_ns);

/* Complete what no worker has begun with BFR_RETRY and BFR_OUTAGE, wait for the stores that run, join the workers. May be
 * called twice. [main] */
void bfr_blocking_sink_stop(struct bfr_blocking_sink *pool);

/* Stops if need be and frees; NULL is allowed. [main] */
void bfr_blocking_sink_free(struct bfr_blocking_sink *pool);

/* The number to return from max_in_flight: what the hand-over takes, two for each worker. [any] */
uint32_t bfr_blocking_sink_window(const struct bfr_blocking_sink *pool);

/* The calls above in the shape of table slots. They fit when the stage's struct begins with the pool:
 *     struct me { struct bfr_blocking_sink *pool; ... };
 *     life = {.start = bfr_blocking_sink_slot_start, .drain = bfr_blocking_sink_slot_drain, ...}  */
uint32_t bfr_blocking_sink_slot_start(void *self, struct bfr_err *err);
void bfr_blocking_sink_slot_drain(void *self, uint64_t deadline_ns);
void bfr_blocking_sink_slot_stop(void *self);
size_t bfr_blocking_sink_slot_put(void *self, const struct bfr_delivery *const *deliveries, size_t count);
uint32_t bfr_blocking_sink_slot_window(void *self);

/* The setters write outcome and text and may be called from `store` only. `out->retry_after_ms` is left as it is. */

/* The far end is away: nobody's batches can be stored now. */
BFR_PRINTF(2, 3) void bfr_result_outage(struct bfr_result *out, const char *format, ...);
/* This batch failed, perhaps for a reason of its own; try again later. */
BFR_PRINTF(2, 3) void bfr_result_retry(struct bfr_result *out, const char *format, ...);
/* This batch can never be stored; `reason` is an enum bfr_reason. */
BFR_PRINTF(3, 4) void bfr_result_reject(struct bfr_result *out, uint32_t reason, const char *format, ...);
/* This stage cannot work until its configuration or its surroundings are mended and it is reloaded or restarted. */
BFR_PRINTF(2, 3) void bfr_result_fatal(struct bfr_result *out, const char *format, ...);

#ifdef __cplusplus
}
#endif
#endif
