// SPDX-License-Identifier: Apache-2.0
// A tap on what is accepted: while somebody listens, each accepted batch leaves a note of its names and sizes here. Any thread
// writes, one reads. Writers never wait and call nothing: when the notes are not read fast enough, they are counted instead.
#ifndef BFR_CORE_PIPE_TAP_H
#define BFR_CORE_PIPE_TAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <bfr/batch.h>
#include <bfr/status.h>

#define BFR_TAP_NOTES 8192 // a power of two

struct bfr_tap {
    atomic_bool listening; // the rest is pipe_tap.c's
};

// What is told of a batch: never a byte of it, nor a header, token or address.
struct bfr_tap_note {
    int64_t received_ns;
    uint64_t bytes; // as stored
    uint8_t stored_sha256[32];
    bool duplicate;
    char account[BFR_ID_MAX + 1];
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];
    char filename[BFR_FILENAME_MAX + 1];
};

struct bfr_tap *bfr_tap_new(void); // NULL when memory is short
void bfr_tap_free(struct bfr_tap *tap);

// Does somebody listen? One load, so that whoever would write pays nothing when the answer is no. NULL is allowed. [any]
static inline bool bfr_tap_is_open(const struct bfr_tap *tap)
{
    return tap != NULL && atomic_load_explicit(&tap->listening, memory_order_relaxed);
}

// Only when it is open. Texts that are NULL or too long are cut. [any]
void bfr_tap_write(struct bfr_tap *tap, const struct bfr_batch *batch, bool duplicate);

// From now on notes are taken, none from before is left. The memory for them is got by the first call and kept. False:
// memory is short. [reader]
BFR_MUST_CHECK bool bfr_tap_open(struct bfr_tap *tap);
void bfr_tap_close(struct bfr_tap *tap);
// The oldest note, copied; false: there is none. [reader]
bool bfr_tap_read(struct bfr_tap *tap, struct bfr_tap_note *out);
// How many notes have been lost since the last call. [reader]
uint64_t bfr_tap_lost(struct bfr_tap *tap);

#endif
