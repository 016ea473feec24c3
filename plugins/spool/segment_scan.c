// SPDX-License-Identifier: Apache-2.0
// The scanner of segments. One pass with a window; after something bad it looks for the next record at every multiple of
// RECORD_ALIGN. A body cannot imitate a record, because the nonce in every header is unknown to its sender.
#include "segment_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES    ((size_t)1 << 20)
#define UNREADABLE_STEP 4096u

struct scan {
    const struct segment_file *segment;
    const struct scan_events *events;
    uint8_t *window;
    uint64_t window_at;
    size_t window_size;
    uint64_t end;     // after the last good record
    uint64_t gap_at;  // start of what has been passed over since then; 0: nothing
    bool gap_written; // something in it is not zero
    uint64_t torn_at; // first header of ours in it that does not check; 0: none
    uint64_t torn_to;
};

// `size` bytes at `at`, or NULL when they are not there or cannot be read.
static const uint8_t *look(struct scan *scan, uint64_t at, size_t size)
{
    if (at + size > scan->segment->file_bytes)
        return NULL;
    if (at < scan->window_at || at + size > scan->window_at + scan->window_size) {
        uint64_t left = scan->segment->file_bytes - at;
        size_t wanted = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        scan->window_at = at;
        scan->window_size = 0;
        if (!bfr_segment_read(scan->segment, scan->window, wanted, at)) {
            // One bad block must not hide the good ones before it.
            if (!bfr_segment_read(scan->segment, scan->window, size, at))
                return NULL;
            wanted = size;
        }
        scan->window_size = wanted;
    }
    return scan->window + (at - scan->window_at);
}

static bool body_is_good(struct scan *scan, const struct record_header *header, uint64_t at)
{
    uint32_t crc = 0;
    for (uint64_t left = header->body_bytes; left > 0;) {
        size_t part = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        const uint8_t *bytes = look(scan, at, part);
        if (bytes == NULL)
            return false;
        crc = bfr_crc32c(crc, bytes, part);
        at += part;
        left -= part;
    }
    return crc == header->body_crc32c;
}

static void end_gap(struct scan *scan, uint64_t to)
{
    if (scan->gap_at != 0 && scan->gap_written)
        scan->events->on_gap(scan->events->arg, scan->gap_at, to, false);
    scan->gap_at = 0;
    scan->gap_written = false;
    scan->torn_at = 0;
}

static void pass_over(struct scan *scan, uint64_t at, const uint8_t *block)
{
    static const uint8_t zero[RECORD_ALIGN];
    if (scan->gap_at == 0)
        scan->gap_at = at;
    if (block == NULL || memcmp(block, zero, RECORD_ALIGN) != 0)
        scan->gap_written = true;
}

enum finding { FOUND_NOTHING = 1, FOUND_RECORD, FOUND_BROKEN };

// What is at `at`? For a record *header and *settled are filled.
static enum finding judge(struct scan *scan, uint64_t at, struct record_header *header, bool *settled)
{
    const struct segment_file *segment = scan->segment;
    const uint8_t *head = look(scan, at, RECORD_HEADER_BYTES);
    if (head == NULL)
        return FOUND_NOTHING;
    if (!bfr_record_header_decode(head, segment->id, segment->nonce, header))
        return bfr_record_header_resembles(head, segment->id, segment->nonce) ? FOUND_BROKEN : FOUND_NOTHING;
    // The padding may be cut off: it carries nothing.
    if (RECORD_HEADER_BYTES + header->envelope_bytes + header->body_bytes > segment->file_bytes - at)
        return FOUND_BROKEN;
    head = look(scan, at, RECORD_HEADER_BYTES + (size_t)header->envelope_bytes);
    if (head == NULL || !bfr_record_check(head, header))
        return FOUND_BROKEN;
    *settled = scan->events->is_settled(scan->events->arg, header, head + RECORD_HEADER_BYTES);
    if (*settled || body_is_good(scan, header, at + RECORD_HEADER_BYTES + header->envelope_bytes))
        return FOUND_RECORD;
    return FOUND_BROKEN;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void note_broken(struct scan *scan, uint64_t at, const struct record_header *header)
{
    if (scan->torn_at != 0)
        return;
    uint64_t left = scan->segment->file_bytes - at;
    scan->torn_at = at;
    scan->torn_to = scan->segment->file_bytes;
    if (header->body_bytes < left) // else it is nonsense, or cut off
        scan->torn_to = at + smaller(bfr_record_bytes(header->envelope_bytes, header->body_bytes), left);
}

// Tell of the record at `at`; returns where it ends, or 0 when its head cannot be read any more.
static uint64_t tell(struct scan *scan, uint64_t at, const struct record_header *header, bool settled)
{
    const uint8_t *head = look(scan, at, RECORD_HEADER_BYTES + (size_t)header->envelope_bytes);
    if (head == NULL)
        return 0;
    end_gap(scan, at);
    uint64_t next = at + bfr_record_bytes(header->envelope_bytes, header->body_bytes);
    scan->end = smaller(next, scan->segment->file_bytes);
    scan->events->on_record(scan->events->arg, header, at, head + RECORD_HEADER_BYTES, settled);
    return next;
}

// Deal with what is at `at`; returns where to look next.
static uint64_t step(struct scan *scan, uint64_t at)
{
    struct record_header header;
    bool settled = false;
    enum finding finding = judge(scan, at, &header, &settled);
    uint64_t next = finding == FOUND_RECORD ? tell(scan, at, &header, settled) : 0;
    if (next != 0)
        return next;
    if (finding != FOUND_NOTHING)
        note_broken(scan, at, &header);
    const uint8_t *block = look(scan, at, RECORD_ALIGN);
    pass_over(scan, at, block);
    if (block == NULL)
        return (at + UNREADABLE_STEP) & ~(uint64_t)(UNREADABLE_STEP - 1);
    return at + RECORD_ALIGN;
}

bool bfr_segment_scan(const struct segment_file *segment, const struct scan_events *events, uint64_t *out_end)
{
    struct scan scan = {.segment = segment, .events = events, .end = SEGMENT_HEADER_BYTES};
    scan.window = malloc(WINDOW_BYTES);
    if (scan.window == NULL) {
        errno = ENOMEM;
        return false;
    }
    for (uint64_t at = SEGMENT_HEADER_BYTES; at + RECORD_HEADER_BYTES <= segment->file_bytes;)
        at = step(&scan, at);
    // Behind the last good record there may be anything: zeros, or another life of the file. Only what begins with a
    // header of this segment was written for it.
    if (scan.torn_at != 0)
        events->on_gap(events->arg, scan.torn_at, scan.torn_to, true);
    *out_end = scan.end;
    free(scan.window);
    return true;
}
