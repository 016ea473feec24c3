// SPDX-License-Identifier: Apache-2.0
// Credits: how many batches a link may have in flight. Owned by the link, touched only on its pump's thread.
#ifndef BFR_CORE_PIPE_CREDIT_H
#define BFR_CORE_PIPE_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_credit {
    uint32_t window;    // at most this many in flight
    uint32_t max;       // what the consumer can use
    uint32_t threshold; // below it the window doubles each round trip, above it grows by one
    uint32_t clean;     // successes since the window grew by one
    uint64_t cut_token; // deliveries up to this token were sent before the last cut
};

// An unproven consumer is met like one that has just come back: with one batch.
void bfr_credit_init(struct bfr_credit *credit, uint32_t max);
void bfr_credit_success(struct bfr_credit *credit);
// `token` is of the delivery that failed, `newest` of the last one sent: a burst of failures that were in flight
// together cuts the window once.
void bfr_credit_trouble(struct bfr_credit *credit, uint64_t token, uint64_t newest);
// The consumer is back after an outage: 1, 2, 4, ...
void bfr_credit_ramp(struct bfr_credit *credit);

#endif
