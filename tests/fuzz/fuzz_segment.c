// SPDX-License-Identifier: Apache-2.0
// The scanner of segments: whatever stands in a file, it tells of good records and of gaps, in order, each byte at most
// once, all inside the file. The first byte of the input says whether checksums are made right first (else the CRC stops
// every mutation at the door), the second which sequence counts as settled; the rest is the file.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bug.h"
#include "segment_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENT_ID 1u
#define NONCE      UINT64_C(0x0102030405060708)

struct watcher {
    uint64_t file_bytes;
    uint64_t told; // everything before it has been told of
    uint64_t last_end;
    uint8_t settled;
};

static void on_record(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                      bool settled)
{
    struct watcher *watcher = arg;
    struct bfr_batch batch;
    const char *consumers[RECORD_CONSUMERS_MAX];
    uint32_t consumer_count = 0;
    uint64_t end = offset + RECORD_HEADER_BYTES + header->envelope_bytes + header->body_bytes;
    bfr_must(offset % RECORD_ALIGN == 0 && offset >= watcher->told && end <= watcher->file_bytes);
    bfr_must(header->segment_id == SEGMENT_ID && header->nonce == NONCE);
    bfr_must(settled == ((uint8_t)header->sequence == watcher->settled));
    watcher->last_end = watcher->told = offset + bfr_record_bytes(header->envelope_bytes, header->body_bytes);

    char *texts = malloc(header->envelope_bytes + 16);
    bfr_must(texts != NULL);
    if (bfr_record_envelope_decode(envelope, header, &batch, consumers, &consumer_count, texts)) {
        bfr_must(consumer_count >= 1 && consumer_count <= RECORD_CONSUMERS_MAX);
        size_t bytes = strlen(batch.account) + strlen(batch.tenant) + strlen(batch.dataset) + strlen(batch.filename) +
                       strlen(batch.batch_id) + strlen(batch.data_hint) + strlen(batch.content_type);
        for (uint32_t i = 0; i < consumer_count; i++)
            bytes += strlen(consumers[i]) + 1;
        bfr_must(bytes <= header->envelope_bytes);
    }
    free(texts);
}

static void on_gap(void *arg, uint64_t from, uint64_t to, bool torn)
{
    struct watcher *watcher = arg;
    (void)torn;
    bfr_must(from < to && from >= watcher->told && to <= watcher->file_bytes);
    watcher->told = to;
}

static bool is_settled(void *arg, const struct record_header *header, const uint8_t *envelope)
{
    const struct watcher *watcher = arg;
    (void)envelope;
    return (uint8_t)header->sequence == watcher->settled;
}

static void set32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value); // the targets run on little-endian machines
}

// Nonce, id and both checksums of whatever begins like a record.
static void repair(uint8_t *bytes, size_t size)
{
    const uint64_t nonce = NONCE, id = SEGMENT_ID;
    for (size_t at = SEGMENT_HEADER_BYTES; at + RECORD_HEADER_BYTES <= size; at += RECORD_ALIGN) {
        uint8_t *head = bytes + at;
        struct record_header header;
        if (memcmp(head, "BFRR\1\0\0\0", 8) != 0)
            continue;
        memcpy(head + 8, &nonce, sizeof nonce);
        memcpy(head + 16, &id, sizeof id);
        size_t left = size - at - RECORD_HEADER_BYTES;
        if (!bfr_record_header_decode(head, SEGMENT_ID, NONCE, &header) || header.envelope_bytes > left ||
            header.body_bytes > left - header.envelope_bytes)
            continue;
        const uint8_t *envelope = head + RECORD_HEADER_BYTES;
        set32(head + 44, bfr_crc32c(0, envelope + header.envelope_bytes, (size_t)header.body_bytes));
        uint32_t crc = bfr_crc32c(bfr_crc32c(0, &nonce, sizeof nonce), head, 60);
        set32(head + 60, bfr_crc32c(crc, envelope, header.envelope_bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct watcher watcher = {.file_bytes = size - 2, .told = SEGMENT_HEADER_BYTES, .settled = data[1]};
    struct segment_file segment = {.id = SEGMENT_ID, .nonce = NONCE, .file_bytes = size - 2, .marks_fd = -1};
    const struct scan_events events = {on_record, on_gap, is_settled, &watcher};
    uint64_t end = 0;
    uint8_t *bytes = malloc(size);
    bfr_must(bytes != NULL);
    memcpy(bytes, data + 2, size - 2);
    if (data[0] % 2 != 0)
        repair(bytes, size - 2);
    segment.fd = memfd_create("segment", MFD_CLOEXEC);
    bfr_must(segment.fd >= 0 && write(segment.fd, bytes, size - 2) == (ssize_t)(size - 2));
    bfr_must(bfr_segment_scan(&segment, &events, &end));
    bfr_must(watcher.last_end == 0 ? end == SEGMENT_HEADER_BYTES
                                   : end <= watcher.last_end && end + RECORD_ALIGN > watcher.last_end);
    close(segment.fd);
    free(bytes);
    return 0;
}
