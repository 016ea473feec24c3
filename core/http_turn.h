// SPDX-License-Identifier: Apache-2.0
// How long a loop of the webhook port was away from its sockets: a turn lasts from the first thing that the loop was woken
// for to its next wait. Whatever became due in between waited for it. The longest turns of all loops are kept for the last
// one to two minutes, so that several readers may look.
#ifndef BFR_CORE_HTTP_TURN_H
#define BFR_CORE_HTTP_TURN_H

#include <stdatomic.h>
#include <stdint.h>

// One loop's turn; its thread's alone.
struct bfr_turn {
    uint64_t began_ns;  // 0: it waits
    uint64_t cpu_ns;    // the thread's processor time, read a moment before the turn at most
    uint64_t cpu_at_ns; // when it was read
};

// Of all loops.
struct bfr_longest {
    _Atomic uint64_t recent_ns; // in the present minute
    _Atomic uint64_t before_ns; // in the one before
};

struct bfr_turns {
    struct bfr_longest blocked; // by the clock
    struct bfr_longest busy;    // computing: less than the former when the loop waited for a processor, or for a lock
    _Atomic uint64_t minute_ns; // when the present minute began
};

// The rare part of bfr_turn_enter.
void bfr_turn_begin(struct bfr_turn *turn);

// Something woke the loop; the first of a turn counts. [loop]
static inline void bfr_turn_enter(struct bfr_turn *turn)
{
    if (turn->began_ns == 0)
        bfr_turn_begin(turn);
}

// The loop waits again. [loop]
void bfr_turn_end(struct bfr_turn *turn, struct bfr_turns *turns);

// The longest ones; begins a new minute when it is time to. [any]
void bfr_turns_read(struct bfr_turns *turns, uint64_t *out_blocked_ns, uint64_t *out_busy_ns);

#endif
