// SPDX-License-Identifier: Apache-2.0
// See http_turn.h. Two readings of the clock for each turn. The processor time costs a system call, so it is read at the end
// of long turns only, and at the beginning of one at most once in a millisecond: what a long turn computed is known within
// that, and never too low.
#include "http_turn.h"

#include <time.h>

#define LONG_NS   UINT64_C(1000000)
#define MINUTE_NS UINT64_C(60000000000)

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

void bfr_turn_begin(struct bfr_turn *turn)
{
    turn->began_ns = read_clock(CLOCK_MONOTONIC);
    if (turn->began_ns - turn->cpu_at_ns < LONG_NS)
        return;
    turn->cpu_ns = read_clock(CLOCK_THREAD_CPUTIME_ID);
    turn->cpu_at_ns = turn->began_ns;
}

// A new maximum is rare, so the common way is one load.
static void raise(struct bfr_longest *longest, uint64_t ns)
{
    uint64_t most = atomic_load_explicit(&longest->recent_ns, memory_order_relaxed);

    while (ns > most && !atomic_compare_exchange_weak_explicit(&longest->recent_ns, &most, ns, memory_order_relaxed,
                                                               memory_order_relaxed))
        ;
}

void bfr_turn_end(struct bfr_turn *turn, struct bfr_turns *turns)
{
    if (turn->began_ns == 0)
        return;
    uint64_t blocked_ns = read_clock(CLOCK_MONOTONIC) - turn->began_ns;
    uint64_t busy_ns = blocked_ns;
    if (blocked_ns >= LONG_NS) {
        uint64_t computed_ns = read_clock(CLOCK_THREAD_CPUTIME_ID) - turn->cpu_ns;
        busy_ns = computed_ns < blocked_ns ? computed_ns : blocked_ns;
    }
    turn->began_ns = 0;
    raise(&turns->blocked, blocked_ns);
    raise(&turns->busy, busy_ns);
}

static void turn_over(struct bfr_longest *longest)
{
    atomic_store(&longest->before_ns, atomic_exchange(&longest->recent_ns, 0));
}

static uint64_t most_of(struct bfr_longest *longest)
{
    uint64_t recent_ns = atomic_load(&longest->recent_ns);
    uint64_t before_ns = atomic_load(&longest->before_ns);

    return recent_ns > before_ns ? recent_ns : before_ns;
}

// Who does not look for some minutes is told of all of them the first time: nothing that was long goes unseen.
void bfr_turns_read(struct bfr_turns *turns, uint64_t *out_blocked_ns, uint64_t *out_busy_ns)
{
    uint64_t now_ns = read_clock(CLOCK_MONOTONIC);
    uint64_t minute_ns = atomic_load(&turns->minute_ns);

    if (now_ns - minute_ns >= MINUTE_NS && atomic_compare_exchange_strong(&turns->minute_ns, &minute_ns, now_ns)) {
        turn_over(&turns->blocked);
        turn_over(&turns->busy);
    }
    *out_blocked_ns = most_of(&turns->blocked);
    *out_busy_ns = most_of(&turns->busy);
}
