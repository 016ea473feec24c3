// SPDX-License-Identifier: Apache-2.0
// What may be spent now: it grows with time, up to a bound. All zero, it is full. Guarded by its owner's lock.
#ifndef BFR_AUTH_ALLOWANCE_H
#define BFR_AUTH_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    double per_s;
    double burst;
};

struct allowance {
    double left;
    uint64_t at_ns;
};

void bfr_allowance_refill(struct allowance *allowance, struct rate rate, uint64_t now_ns);
// One less; false: there is none.
bool bfr_allowance_spend(struct allowance *allowance, struct rate rate, uint64_t now_ns);

#endif
