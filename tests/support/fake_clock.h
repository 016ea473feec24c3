// SPDX-License-Identifier: Apache-2.0
// A clock that stands still until the test moves it. Safe to read from any thread.
#ifndef BFR_TESTS_FAKE_CLOCK_H
#define BFR_TESTS_FAKE_CLOCK_H

#include <stdatomic.h>

#include "clock.h"

#define FAKE_CLOCK_START_NS (UINT64_C(1000) * BFR_NS_PER_S)
#define FAKE_CLOCK_EPOCH_NS INT64_C(1700000000000000000) // wall time at monotonic 0

struct fake_clock {
    struct bfr_clock clock; // hand this to the code under test
    _Atomic uint64_t now_ns;
};

void fake_clock_init(struct fake_clock *fake);
void fake_clock_advance(struct fake_clock *fake, uint64_t by_ns);

#endif
