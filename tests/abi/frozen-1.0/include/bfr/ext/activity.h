/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host extension "activity/1": what came of the batches of each account, tenant and dataset since the start. For services
 * that report it to someone. Informational: the books are in "status/1".
 *
 *     const struct bfr_activity_1 *activity = host->get_extension(host, BFR_EXT_ACTIVITY_1);
 */
#ifndef BFR_EXT_ACTIVITY_H
#define BFR_EXT_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BFR_EXT_ACTIVITY_1 "activity/1"

struct bfr_host;

/* One account, tenant and dataset. All figures only grow. */
struct bfr_flow {
    uint32_t size;                             /* sizeof(struct bfr_flow) */
    uint32_t number;                           /* from 0, without gaps, for the life of the process */
    const char *account;                       /* may be empty */
    const char *tenant;                        /* empty, with `dataset`: all that found no place in the host's table */
    const char *dataset;                       /* the three strings live as long as the host */
    uint64_t accepted_batches, accepted_bytes; /* bytes as stored */
    uint64_t original_bytes, accepted_lines;   /* what the sender said of them, else as received, and 1 */
    uint64_t stored_batches, stored_bytes, stored_lines;
    uint64_t failed_attempts; /* of sinks, blamed on the batch */
    uint64_t buried_batches, buried_bytes;
    uint32_t last_reason; /* enum bfr_reason of the last burial, or 0 */
    uint32_t reserved;
    char last_error[128]; /* of the last failure or burial, as in the log, cut; may name a batch; empty without one */
};

struct bfr_activity_1 {
    uint32_t size; /* sizeof(struct bfr_activity_1) */

    /* Visit the flows that changed after `since` (0: all), each consistent in itself; returns what to ask from the next
     * time. `visit` returns false to stop; then the mark is not moved. [any, started] */
    uint64_t (*flows)(const struct bfr_host *host, uint64_t since,
                      bool (*visit)(void *arg, const struct bfr_flow *flow), void *arg);

    /* True when the daemon could not be started and is about to end; then `out` says why. [any, started] */
    bool (*start_failure)(const struct bfr_host *host, char *out, uint64_t room);
};

#ifdef __cplusplus
}
#endif
#endif
