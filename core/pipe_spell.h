// SPDX-License-Identifier: Apache-2.0
// A dry spell of a sink: the time in which it stored nothing, from its first failure to its next success. What was buried
// in it for lack of attempts was most likely not at fault: a policy, a key or a full bucket can refuse each object alone.
#ifndef BFR_CORE_PIPE_SPELL_H
#define BFR_CORE_PIPE_SPELL_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_spell {
    struct bfr_spell *next; // of the present owner's list
    int64_t from_ns, to_ns; // Unix time, as letters tell it; from_ns 0: the sink is not in one
    uint64_t since_ns;      // monotonic, as from_ns
    uint64_t buried;        // batches, for lack of attempts
    char cause[200];        // of the last of them
};

// A delivery ended without success. `wall_ns` must not be later than what the queue notes of it. [pump]
void bfr_spell_failed(struct bfr_spell *spell, int64_t wall_ns, uint64_t now_ns);
// A batch is out of attempts. [pump]
void bfr_spell_buried(struct bfr_spell *spell, const char *cause);
// A batch was stored that had been handed over at `put_ns` (monotonic); one from before the spell does not end it. True when
// letters are to be taken back: then *out is the spell that is over, and to_ns is the caller's to set, once its last burial
// is in the queue. [pump]
bool bfr_spell_stored(struct bfr_spell *spell, uint64_t put_ns, struct bfr_spell *out);

#endif
