// SPDX-License-Identifier: Apache-2.0
// What came of the batches of each account, tenant and dataset: the figures behind the extension "activity/1". Kept only
// when a service is configured; every call takes NULL for "not kept".
#ifndef BFR_CORE_PIPE_FLOWS_H
#define BFR_CORE_PIPE_FLOWS_H

#include <bfr/batch.h>
#include <bfr/ext/activity.h>

struct bfr_flows;

struct bfr_flows *bfr_flows_new(void); // NULL when memory or randomness is short
void bfr_flows_free(struct bfr_flows *flows);

// Each is one short critical section. `text` is copied, cut; NULL is allowed. [any]
void bfr_flows_accepted(struct bfr_flows *flows, const struct bfr_batch *batch);
void bfr_flows_stored(struct bfr_flows *flows, const struct bfr_batch *batch);
void bfr_flows_failed(struct bfr_flows *flows, const struct bfr_batch *batch, const char *text);
void bfr_flows_buried(struct bfr_flows *flows, const struct bfr_batch *batch, uint32_t reason, const char *text);

// bfr_activity_1.flows. `visit` runs without a lock. [any]
uint64_t bfr_flows_visit(struct bfr_flows *flows, uint64_t since, bool (*visit)(void *arg, const struct bfr_flow *flow),
                         void *arg);

#endif
