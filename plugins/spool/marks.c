// SPDX-License-Identifier: Apache-2.0
// Bytes of settlement marks and their file. Written by the commit thread, read at start. A mark is only ever a saving:
// losing one means that a sink is offered a batch again, never that a batch is lost.
#include "marks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "little_endian.h"

static uint32_t mark_crc(const uint8_t *in, uint64_t nonce)
{
    uint8_t bytes[8];
    put64(bytes, nonce);
    return bfr_crc32c(bfr_crc32c(0, bytes, sizeof bytes), in, MARK_BYTES - 4);
}

void bfr_mark_encode(const struct mark *mark, uint64_t nonce, uint8_t out[MARK_BYTES])
{
    put64(out, mark->sequence);
    put32(out + 8, mark->consumer);
    put32(out + 12, mark->state);
    put32(out + 16, mark->burial);
    put32(out + MARK_BYTES - 4, mark_crc(out, nonce));
}

bool bfr_mark_decode(const uint8_t in[MARK_BYTES], uint64_t nonce, struct mark *out)
{
    if (get32(in + MARK_BYTES - 4) != mark_crc(in, nonce))
        return false;
    *out = (struct mark){get64(in), get32(in + 8), get32(in + 12), get32(in + 16)};
    return out->state >= MARK_CONFIRMED && out->state <= MARK_WANTED;
}

bool bfr_marks_append(struct segment_file *segment, const uint8_t *encoded, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t wrote = pwrite(segment->marks_fd, encoded + done, bytes - done, (off_t)(segment->marks_bytes + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        done += (size_t)wrote;
    }
    if (fdatasync(segment->marks_fd) != 0)
        return false;
    segment->marks_bytes += bytes;
    return true;
}

bool bfr_marks_read(struct segment_file *segment, void (*visit)(void *arg, const struct mark *mark), void *arg)
{
    uint8_t buffer[MARK_BYTES * 512];
    segment->marks_bytes = 0;
    if (segment->marks_fd < 0) // opened for reading, and there are none
        return true;
    for (;;) {
        ssize_t got = pread(segment->marks_fd, buffer, sizeof buffer, (off_t)segment->marks_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        size_t at = 0;
        for (; at + MARK_BYTES <= (size_t)got; at += MARK_BYTES) {
            struct mark mark;
            if (bfr_mark_decode(buffer + at, segment->nonce, &mark))
                visit(arg, &mark);
        }
        segment->marks_bytes += at;
        if (at == 0)
            return true;
    }
}
