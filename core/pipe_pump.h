// SPDX-License-Identifier: Apache-2.0
// The thread around a link: sleeps until woken or due, then takes one turn.
#ifndef BFR_CORE_PIPE_PUMP_H
#define BFR_CORE_PIPE_PUMP_H

#include "clock.h"

#include <bfr/status.h>

struct bfr_pump;

// `turn` does what there is to do and returns when it wants to be called next (monotonic; UINT64_MAX: only when woken).
// NULL when memory is short. `name` is the thread's, cut to 15 bytes.
struct bfr_pump *bfr_pump_new(const char *name, const struct bfr_clock *clock, uint64_t (*turn)(void *arg), void *arg);
BFR_MUST_CHECK uint32_t bfr_pump_start(struct bfr_pump *pump, struct bfr_err *err);
// Sticky: a wake-up during a turn makes another turn follow. Before start and after stop it does nothing. [any]
void bfr_pump_wake(struct bfr_pump *pump);
// A thread that is about to wake the same pumps many times, once per request, keeps the alarms back meanwhile: from hold to
// let_go its wake-ups are noted and rouse nobody. It must not wait for a pump in between, and let go before any of these
// pumps is freed. [any; both on the same thread]
void bfr_pump_hold(void);
void bfr_pump_let_go(void);
// Returns when the thread is gone. Harmless when it never ran. [main]
void bfr_pump_stop(struct bfr_pump *pump);
void bfr_pump_free(struct bfr_pump *pump); // stopped

#endif
