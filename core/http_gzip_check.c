// SPDX-License-Identifier: Apache-2.0
// zlib knows the format and compares CRC and length; here is only what lies between members. Padding with zeros, which some
// readers forgive, is refused: the reader of the store does not forgive it.
#include "http_gzip_check.h"

#include <string.h>

#define GZIP_WINDOW (15 + 16) // zlib.h: the largest window, and gzip's framing alone

bool bfr_gzip_check_begin(struct bfr_gzip_check *check)
{
    memset(check, 0, sizeof *check);
    check->live = inflateInit2(&check->inflater, GZIP_WINDOW) == Z_OK;
    return check->live;
}

void bfr_gzip_check_end(struct bfr_gzip_check *check)
{
    if (check->live)
        inflateEnd(&check->inflater);
    check->live = false;
}

enum bfr_refusal bfr_gzip_check_feed(struct bfr_gzip_check *check, const void *data, size_t size)
{
    Bytef nowhere[16384];
    z_stream *z = &check->inflater;
    z->next_in = (Bytef *)(uintptr_t)data;
    z->avail_in = (uInt)size;
    bool more = size > 0;
    while (more) {
        if (check->between)
            inflateReset(z);
        z->next_out = nowhere;
        z->avail_out = sizeof nowhere;
        int result = inflate(z, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) // the last: all was eaten before
            return result == Z_MEM_ERROR ? BFR_REFUSE_MEMORY : BFR_REFUSE_GZIP_STREAM;
        check->between = result == Z_STREAM_END;
        // A full output may have more behind it though the input is eaten.
        more = z->avail_in > 0 || (!check->between && z->avail_out == 0);
    }
    return BFR_REFUSE_NONE;
}

enum bfr_refusal bfr_gzip_check_finish(const struct bfr_gzip_check *check)
{
    return check->between ? BFR_REFUSE_NONE : BFR_REFUSE_GZIP_STREAM;
}
