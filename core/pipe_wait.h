// SPDX-License-Identifier: Apache-2.0
// Waiting on a condition with a deadline on the injected clock.
#ifndef BFR_CORE_PIPE_WAIT_H
#define BFR_CORE_PIPE_WAIT_H

#include <pthread.h>
#include <semaphore.h>

#include "clock.h"

// A condition variable whose time is CLOCK_MONOTONIC.
void bfr_cond_init(pthread_cond_t *cond);
// Wait for a signal, or until `due_ns` of `clock` (UINT64_MAX: without end). May return early. `lock` is held.
void bfr_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, const struct bfr_clock *clock, uint64_t due_ns);
// The same on a semaphore: takes one when there is one.
void bfr_sem_wait_until(sem_t *alarm, const struct bfr_clock *clock, uint64_t due_ns);

#endif
