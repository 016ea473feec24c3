// SPDX-License-Identifier: Apache-2.0
// Parts of /api/v1/stats. Memory that is short leaves a part out. [admin]
#ifndef BFR_CORE_HTTP_ADMIN_FIGURES_H
#define BFR_CORE_HTTP_ADMIN_FIGURES_H

#include "http_admin_state.h"

// {"batches": ..., "bytes": ...}
json_t *bfr_admin_pair(uint64_t batches, uint64_t bytes);
// A row of the books.
json_t *bfr_admin_row(const struct bfr_ledger_row *row);

// What the registry of metrics has: requests by code, refusals by reason, memory, spool, the sinks' attempts by outcome.
// `stats` has `sinks` already.
void bfr_admin_add_figures(struct bfr_http_admin *admin, json_t *stats);
// The 200 tenants that sent most bytes, with their rows of the books.
void bfr_admin_add_tenants(struct bfr_http_admin *admin, json_t *stats);

#endif
