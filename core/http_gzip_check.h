// SPDX-License-Identifier: Apache-2.0
// webhook.gzip_check: full. Decompresses a body while it passes, into nothing, to see that it is gzip to its last byte: one
// member or several, each with the right CRC and length, and nothing behind them (RFC 1952). Owned by the body, used on its
// loop alone. Its memory is fixed, whatever the body expands to.
#ifndef BFR_CORE_HTTP_GZIP_CHECK_H
#define BFR_CORE_HTTP_GZIP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include <zlib.h>

#include "http_refusal.h"

// RAM of one check, which the budget has to know of (zlib.h: a window of 32 KiB and about 7 KiB).
#define BFR_GZIP_CHECK_BYTES 40960u

struct bfr_gzip_check {
    z_stream inflater;
    bool live;    // inflateEnd is due
    bool between; // behind a member: the end of the body, or the beginning of another
};

bool bfr_gzip_check_begin(struct bfr_gzip_check *check); // false when memory is short
void bfr_gzip_check_end(struct bfr_gzip_check *check);   // harmless when it never began

// The next bytes. BFR_REFUSE_GZIP_STREAM, _MEMORY or none.
enum bfr_refusal bfr_gzip_check_feed(struct bfr_gzip_check *check, const void *data, size_t size);
// No more come. BFR_REFUSE_GZIP_STREAM or none.
enum bfr_refusal bfr_gzip_check_finish(const struct bfr_gzip_check *check);

#endif
