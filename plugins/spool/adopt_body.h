// SPDX-License-Identifier: Apache-2.0
// The bytes of a file that the previous product left: read, judged, and as they will be stored. Knows no queue.
#ifndef BFR_SPOOL_ADOPT_BODY_H
#define BFR_SPOOL_ADOPT_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Zero is never valid.
enum adopt_judgement {
    ADOPT_BODY_GOOD = 1,
    ADOPT_BODY_BROKEN,  // half-written, or damaged; `why` says how
    ADOPT_BODY_ERROR,   // cannot be read now; errno
    ADOPT_BODY_STOPPED, // `stop` said so
};

struct adopt_body {
    uint8_t *bytes; // as stored; the caller's, from malloc
    size_t size;
    bool compressed_here; // it was plain
    uint8_t stored_sha256[32];
    uint8_t source_sha256[32];
    uint32_t crc32c;
};

// Read `size` bytes of `fd`. A gzip body is inflated to its end, every member; a plain one becomes one gzip member. Asks
// `stop(arg)` now and then, as this may take long. Only when the body is good does *out hold something.
enum adopt_judgement bfr_adopt_body_read(int fd, size_t size, bool (*stop)(void *arg), void *arg,
                                         struct adopt_body *out, const char **why);

#endif
