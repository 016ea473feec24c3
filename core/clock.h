// SPDX-License-Identifier: Apache-2.0
// Time, injectable: the daemon uses bfr_clock_system, tests use a clock they move by hand.
#ifndef BFR_CORE_CLOCK_H
#define BFR_CORE_CLOCK_H

#include <stdint.h>

struct bfr_clock {
    uint64_t (*monotonic_ns)(void *arg); // never jumps
    int64_t (*wall_ns)(void *arg);       // Unix time; may jump
    void *arg;
};

extern const struct bfr_clock bfr_clock_system;

static inline uint64_t bfr_clock_now(const struct bfr_clock *clock)
{
    return clock->monotonic_ns(clock->arg);
}

static inline int64_t bfr_clock_wall(const struct bfr_clock *clock)
{
    return clock->wall_ns(clock->arg);
}

#define BFR_NS_PER_MS UINT64_C(1000000)
#define BFR_NS_PER_S  UINT64_C(1000000000)

#endif
