// SPDX-License-Identifier: Apache-2.0
// Settlement marks: which consumer is done with which record, as {id}.done keeps them. 24 bytes a mark; a torn or damaged
// one is skipped.
#ifndef BFR_SPOOL_MARKS_H
#define BFR_SPOOL_MARKS_H

#include "segment.h"

#define MARK_BYTES 24u

enum mark_state {
    MARK_CONFIRMED = 1,
    MARK_BURIED = 2,
    MARK_PURGED = 3,
    MARK_WANTED = 4 // redriven: open again for those that buried it
};

struct mark {
    uint64_t sequence;
    uint32_t consumer; // number in the record's own list; MARK_EVERY_CONSUMER
    uint32_t state;    // enum mark_state
    uint32_t burial;   // with MARK_BURIED: reason, and attempts << 8
};

#define MARK_EVERY_CONSUMER UINT32_MAX

void bfr_mark_encode(const struct mark *mark, uint64_t nonce, uint8_t out[MARK_BYTES]);
bool bfr_mark_decode(const uint8_t in[MARK_BYTES], uint64_t nonce, struct mark *out);

// Append encoded marks and sync. On failure nothing counts as written; errno.
BFR_MUST_CHECK bool bfr_marks_append(struct segment_file *segment, const uint8_t *encoded, size_t bytes);

// Visit every good mark from the start; sets segment->marks_bytes to where the next one goes. False with errno when the file cannot
// be read.
BFR_MUST_CHECK bool bfr_marks_read(struct segment_file *segment, void (*visit)(void *arg, const struct mark *mark),
                                   void *arg);

#endif
