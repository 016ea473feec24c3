// SPDX-License-Identifier: Apache-2.0
// The machine's clocks behind struct bfr_clock.
#include "clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t system_monotonic_ns(void *arg)
{
    (void)arg;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * BFR_NS_PER_S + (uint64_t)now.tv_nsec;
}

static int64_t system_wall_ns(void *arg)
{
    (void)arg;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * (int64_t)BFR_NS_PER_S + now.tv_nsec;
}

const struct bfr_clock bfr_clock_system = {system_monotonic_ns, system_wall_ns, NULL};
