/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host extension "status/1": a consistent snapshot of the ledger and of every stage. For services and dashboards.
 *
 *     const struct bfr_status_1 *status = host->get_extension(host, BFR_EXT_STATUS_1);
 */
#ifndef BFR_EXT_STATUS_H
#define BFR_EXT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BFR_EXT_STATUS_1 "status/1"

struct bfr_host;

/* One row of the ledger. recovered + accepted = stored + held + buried + purged, in batches and in bytes. */
struct bfr_ledger_row {
    uint32_t size; /* sizeof(struct bfr_ledger_row) */
    uint32_t reserved;
    const char *tenant; /* NULL in the total */
    uint64_t recovered_batches, recovered_bytes;
    uint64_t accepted_batches, accepted_bytes;
    uint64_t stored_batches, stored_bytes;
    uint64_t held_batches, held_bytes;
    uint64_t buried_batches, buried_bytes;
    uint64_t purged_batches, purged_bytes;
};

struct bfr_stage_status {
    uint32_t size; /* sizeof(struct bfr_stage_status) */
    uint32_t kind; /* enum bfr_kind */
    const char *stage;
    const char *plugin;
    uint32_t state;     /* enum bfr_health_state */
    const char *reason; /* "" when OK */
};

struct bfr_status_1 {
    uint32_t size; /* sizeof(struct bfr_status_1) */

    /* Visit the total first (tenant NULL), then one row per tenant, all from one moment. `visit` returns false to stop.
     * [any, started] */
    void (*ledger)(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_ledger_row *row), void *arg);

    /* Visit the stages in the order of the pipeline, then the services. `visit` returns false to stop. [any, started] */
    void (*stages)(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_stage_status *stage),
                   void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
