// SPDX-License-Identifier: Apache-2.0
// What each tenant's datasets send and what becomes of it, as metrics under the names of the previous product
// (`bytefreezer_requests_total` and its like): dashboards made for it go on working.
//
// A tenant or dataset gets labels of its own once a request of it was authorised, as long as there is room; what comes
// after, and what nobody vouched for, is counted under `other`. So a stranger cannot fill the table. Noting an event takes
// no lock, and allocates nothing once the dataset has its row. Every call takes NULL for "not kept".
#ifndef BFR_CORE_PIPE_TRAFFIC_H
#define BFR_CORE_PIPE_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"

struct bfr_slot;
struct bfr_traffic;
struct bfr_traffic_row;

// At most so many tenants, and datasets of all of them together, beside `other`. NULL when memory or randomness is short.
struct bfr_traffic *bfr_traffic_new(struct bfr_metrics *metrics, uint32_t tenants_max, uint32_t datasets_max);
void bfr_traffic_free(struct bfr_traffic *traffic); // nobody scrapes any more

// Other limits from now on. Who has labels keeps them. [any]
void bfr_traffic_set_limits(struct bfr_traffic *traffic, uint32_t tenants_max, uint32_t datasets_max);

// One request that was answered.
struct bfr_traffic_request {
    const char *tenant;  // empty when it did not come so far
    const char *dataset; // the same; empty also when it is none of the tenant's
    bool authorised;     // the two may get labels of their own
    bool success;
    uint64_t bytes_received, lines_received;   // of the body as it came
    uint64_t bytes_processed, lines_processed; // of the batch that was accepted
    uint64_t duration_ns;                      // from the first byte of the head
};
// `hint` is kept by the caller, starts as NULL, and saves the look-up while the same sender goes on; it may be NULL, and
// must not outlive the table. [any]
void bfr_traffic_answered(struct bfr_traffic *traffic, const struct bfr_traffic_request *request,
                          struct bfr_traffic_row **hint);

enum bfr_auth_failure {
    BFR_AUTH_FAILURE_TOKEN = 1,
    BFR_AUTH_FAILURE_FOREIGN,
    BFR_AUTH_FAILURE_TENANT_GONE,
    BFR_AUTH_FAILURE_DATASET_GONE,
    BFR_AUTH_FAILURE_UNKNOWN, // its rights could not be found out
    BFR_AUTH_FAILURE_COUNT
};
void bfr_traffic_auth_failed(struct bfr_traffic *traffic, const char *tenant, enum bfr_auth_failure failure); // [any]

// One delivery to a sink has ended. [any]
void bfr_traffic_uploaded(struct bfr_traffic *traffic, const struct bfr_slot *slot, uint64_t duration_ns);

#endif
