// SPDX-License-Identifier: Apache-2.0
// See fake_clock.h. The wall clock runs in step with the monotonic one.
#include "fake_clock.h"

static uint64_t fake_monotonic_ns(void *arg)
{
    struct fake_clock *fake = arg;
    return atomic_load(&fake->now_ns);
}

static int64_t fake_wall_ns(void *arg)
{
    return FAKE_CLOCK_EPOCH_NS + (int64_t)fake_monotonic_ns(arg);
}

void fake_clock_init(struct fake_clock *fake)
{
    atomic_init(&fake->now_ns, FAKE_CLOCK_START_NS);
    fake->clock = (struct bfr_clock){fake_monotonic_ns, fake_wall_ns, fake};
}

void fake_clock_advance(struct fake_clock *fake, uint64_t by_ns)
{
    atomic_fetch_add(&fake->now_ns, by_ns);
}
