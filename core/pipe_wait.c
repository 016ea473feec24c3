// SPDX-License-Identifier: Apache-2.0
// Timed waits. The injected clock says how long, the machine's monotonic clock measures it, so that setting the wall
// clock never delays or hurries a pump.
#include "pipe_wait.h"

#include <stdbool.h>
#include <time.h>

// One sleep is at most this long: keeps the sum below from overflowing for far-away times.
#define NAP_MAX_NS (3600 * BFR_NS_PER_S)

void bfr_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

// When a nap until `due_ns` of `clock` ends on the machine's clock; false: at once.
static bool nap_end(const struct bfr_clock *clock, uint64_t due_ns, struct timespec *out)
{
    uint64_t now = bfr_clock_now(clock);
    if (now >= due_ns)
        return false;
    uint64_t nap = due_ns - now < NAP_MAX_NS ? due_ns - now : NAP_MAX_NS;
    uint64_t until = bfr_clock_now(&bfr_clock_system) + nap;
    *out = (struct timespec){.tv_sec = (time_t)(until / BFR_NS_PER_S), .tv_nsec = (long)(until % BFR_NS_PER_S)};
    return true;
}

void bfr_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, const struct bfr_clock *clock, uint64_t due_ns)
{
    struct timespec at;
    if (due_ns == UINT64_MAX)
        pthread_cond_wait(cond, lock);
    else if (nap_end(clock, due_ns, &at))
        pthread_cond_timedwait(cond, lock, &at);
}

void bfr_sem_wait_until(sem_t *alarm, const struct bfr_clock *clock, uint64_t due_ns)
{
    struct timespec at;
    if (due_ns == UINT64_MAX)
        sem_wait(alarm);
    else if (nap_end(clock, due_ns, &at))
        sem_clockwait(alarm, CLOCK_MONOTONIC, &at);
}
