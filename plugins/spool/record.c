// SPDX-License-Identifier: Apache-2.0
// Bytes of a segment header, a record header and an envelope, both ways. Pure: no files, no allocation, no locks. Input
// is never trusted: every length is checked against what is there.
#include "record.h"

#include <endian.h>
#include <isa-l/crc.h>
#include <string.h>

#include "little_endian.h"

#define FORMAT_VERSION 1u

static const uint8_t segment_magic[4] = {'B', 'F', 'R', 'S'};
static const uint8_t record_magic[4] = {'B', 'F', 'R', 'R'};

enum envelope_tag {
    TAG_ACCOUNT = 1,
    TAG_TENANT = 2,
    TAG_DATASET = 3,
    TAG_FILENAME = 4,
    TAG_BATCH_ID = 5,
    TAG_DATA_HINT = 6,
    TAG_CONTENT_TYPE = 7,
    TAG_LINE_COUNT = 8,
    TAG_ORIGINAL_BYTES = 9,
    TAG_CREATED = 10,
    TAG_STORED_SHA256 = 11,
    TAG_SOURCE_SHA256 = 12,
    TAG_FLAGS = 13,
    TAG_CONSUMERS = 14,
    TAG_LETTER = 15
};

uint32_t bfr_crc32c(uint32_t crc, const void *data, size_t size)
{
    uint32_t state = ~crc;
    const uint8_t *at = data;
    while (size > 0) { // the library counts in int
        int part = size > (1u << 30) ? 1 << 30 : (int)size;
        state = crc32_iscsi((unsigned char *)(uintptr_t)at, part, state);
        at += part;
        size -= (size_t)part;
    }
    return ~state;
}

void bfr_segment_header_encode(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES])
{
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, segment_magic, sizeof segment_magic);
    put32(out + 4, FORMAT_VERSION);
    put64(out + 8, header->id);
    put64(out + 16, header->nonce);
    put64(out + 24, (uint64_t)header->created_ns);
    put64(out + 32, header->file_bytes);
    put32(out + 60, bfr_crc32c(0, out, 60));
}

bool bfr_segment_header_decode(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out)
{
    return bfr_segment_header_guess(in, out) && get32(in + 4) == FORMAT_VERSION &&
           get32(in + 60) == bfr_crc32c(0, in, 60);
}

bool bfr_segment_header_guess(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out)
{
    *out = (struct segment_header){.id = get64(in + 8),
                                   .nonce = get64(in + 16),
                                   .created_ns = (int64_t)get64(in + 24),
                                   .file_bytes = get64(in + 32)};
    return memcmp(in, segment_magic, sizeof segment_magic) == 0;
}

// Where the next envelope field goes; `fits` turns false, for good, when one did not.
struct writer {
    uint8_t *at;
    uint8_t *end;
    bool fits;
};

static void put_field(struct writer *writer, uint16_t tag, const void *value, size_t size)
{
    if (!writer->fits || size > UINT16_MAX || (size_t)(writer->end - writer->at) < size + 4) {
        writer->fits = false;
        return;
    }
    const uint16_t head[2] = {htole16(tag), htole16((uint16_t)size)};
    memcpy(writer->at, head, sizeof head);
    memcpy(writer->at + 4, value, size);
    writer->at += size + 4;
}

static void put_text(struct writer *writer, uint16_t tag, const char *text)
{
    put_field(writer, tag, text, strlen(text));
}

static void put_number(struct writer *writer, uint16_t tag, uint64_t value)
{
    value = htole64(value);
    put_field(writer, tag, &value, sizeof value);
}

static void put_consumers(struct writer *writer, const char *const *names, uint32_t count)
{
    char list[RECORD_CONSUMERS_MAX * 64];
    size_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = strlen(names[i]) + 1;
        if (used + size > sizeof list) {
            writer->fits = false;
            return;
        }
        memcpy(list + used, names[i], size);
        used += size;
    }
    put_field(writer, TAG_CONSUMERS, list, used);
}

static void put_envelope(struct writer *writer, const struct bfr_batch *batch, const char *const *consumers,
                         uint32_t consumer_count)
{
    const uint32_t flags = htole32(batch->flags & ~BFR_BATCH_READ_BACK); // of a copy, not of the batch
    put_text(writer, TAG_ACCOUNT, batch->account);
    put_text(writer, TAG_TENANT, batch->tenant);
    put_text(writer, TAG_DATASET, batch->dataset);
    put_text(writer, TAG_FILENAME, batch->filename);
    put_text(writer, TAG_BATCH_ID, batch->batch_id);
    put_text(writer, TAG_DATA_HINT, batch->data_hint);
    put_text(writer, TAG_CONTENT_TYPE, batch->content_type);
    put_number(writer, TAG_LINE_COUNT, batch->line_count);
    put_number(writer, TAG_ORIGINAL_BYTES, batch->original_bytes);
    put_number(writer, TAG_CREATED, (uint64_t)batch->created_ns);
    put_field(writer, TAG_STORED_SHA256, batch->stored_sha256, sizeof batch->stored_sha256);
    if (memcmp(batch->source_sha256, batch->stored_sha256, sizeof batch->source_sha256) != 0)
        put_field(writer, TAG_SOURCE_SHA256, batch->source_sha256, sizeof batch->source_sha256);
    put_field(writer, TAG_FLAGS, &flags, sizeof flags);
    put_consumers(writer, consumers, consumer_count);
}

static uint32_t head_crc(const uint8_t *in, uint64_t nonce, uint32_t envelope_bytes)
{
    uint8_t seed[8];
    put64(seed, nonce);
    uint32_t crc = bfr_crc32c(0, seed, sizeof seed);
    crc = bfr_crc32c(crc, in, 60);
    return bfr_crc32c(crc, in + RECORD_HEADER_BYTES, envelope_bytes);
}

size_t bfr_record_encode(const struct bfr_batch *batch, const struct record_header *header,
                         const char *const *consumers, uint32_t consumer_count, uint8_t *out, size_t capacity)
{
    if (capacity < RECORD_HEADER_BYTES)
        return 0;
    struct writer writer = {out + RECORD_HEADER_BYTES, out + capacity, true};
    put_envelope(&writer, batch, consumers, consumer_count);
    if (header->letter != 0)
        put_number(&writer, TAG_LETTER, header->letter);
    size_t envelope_bytes = (size_t)(writer.at - out - RECORD_HEADER_BYTES);
    if (!writer.fits || consumer_count == 0 || envelope_bytes > ENVELOPE_MAX_BYTES)
        return 0;
    memcpy(out, record_magic, sizeof record_magic);
    put32(out + 4, FORMAT_VERSION);
    put64(out + 8, header->nonce);
    put64(out + 16, header->segment_id);
    put64(out + 24, header->sequence);
    put64(out + 32, batch->body_bytes);
    put32(out + 40, (uint32_t)envelope_bytes);
    put32(out + 44, batch->crc32c);
    put64(out + 48, (uint64_t)batch->received_ns);
    put32(out + 56, 0);
    put32(out + 60, head_crc(out, header->nonce, (uint32_t)envelope_bytes));
    return RECORD_HEADER_BYTES + envelope_bytes;
}

bool bfr_record_header_decode(const uint8_t in[RECORD_HEADER_BYTES], uint64_t segment_id, uint64_t nonce,
                              struct record_header *out)
{
    *out = (struct record_header){.nonce = get64(in + 8),
                                  .segment_id = get64(in + 16),
                                  .sequence = get64(in + 24),
                                  .body_bytes = get64(in + 32),
                                  .envelope_bytes = get32(in + 40),
                                  .body_crc32c = get32(in + 44),
                                  .received_ns = (int64_t)get64(in + 48)};
    return memcmp(in, record_magic, sizeof record_magic) == 0 && get32(in + 4) == FORMAT_VERSION &&
           out->nonce == nonce && out->segment_id == segment_id && out->envelope_bytes <= ENVELOPE_MAX_BYTES &&
           out->body_bytes <= INT64_MAX / 2;
}

bool bfr_record_header_resembles(const uint8_t in[RECORD_HEADER_BYTES], uint64_t segment_id, uint64_t nonce)
{
    return get64(in + 8) == nonce ||
           (memcmp(in, record_magic, sizeof record_magic) == 0 && get64(in + 16) == segment_id);
}

uint64_t bfr_record_header_nonce(const uint8_t in[RECORD_HEADER_BYTES])
{
    return get64(in + 8);
}

bool bfr_record_check(const uint8_t *in, const struct record_header *header)
{
    return get32(in + 60) == head_crc(in, header->nonce, header->envelope_bytes);
}

// One field of the envelope into the batch; `text` is its NUL-terminated copy.
static bool take_field(uint16_t tag, const uint8_t *value, size_t size, const char *text, struct bfr_batch *batch)
{
    const char **const texts[] = {[TAG_ACCOUNT] = &batch->account,          [TAG_TENANT] = &batch->tenant,
                                  [TAG_DATASET] = &batch->dataset,          [TAG_FILENAME] = &batch->filename,
                                  [TAG_BATCH_ID] = &batch->batch_id,        [TAG_DATA_HINT] = &batch->data_hint,
                                  [TAG_CONTENT_TYPE] = &batch->content_type};
    if (tag >= TAG_ACCOUNT && tag <= TAG_CONTENT_TYPE) {
        *texts[tag] = text;
        return strlen(text) == size; // a NUL inside would make two different texts look alike
    }
    switch (tag) {
    case TAG_LINE_COUNT:
        batch->line_count = size == 8 ? get64(value) : 0;
        return size == 8;
    case TAG_ORIGINAL_BYTES:
        batch->original_bytes = size == 8 ? get64(value) : 0;
        return size == 8;
    case TAG_CREATED:
        batch->created_ns = size == 8 ? (int64_t)get64(value) : 0;
        return size == 8;
    case TAG_STORED_SHA256:
    case TAG_SOURCE_SHA256:
        if (size == 32)
            memcpy(tag == TAG_STORED_SHA256 ? batch->stored_sha256 : batch->source_sha256, value, 32);
        return size == 32;
    case TAG_FLAGS:
        batch->flags = size == 4 ? get32(value) : 0;
        return size == 4;
    default:
        return true;
    }
}

uint64_t bfr_record_letter(const uint8_t *envelope, uint32_t envelope_bytes)
{
    for (size_t at = 0; at + 4 <= envelope_bytes;) {
        unsigned tag = envelope[at] | envelope[at + 1] << 8;
        size_t size = (size_t)(envelope[at + 2] | envelope[at + 3] << 8);
        if (tag == TAG_LETTER)
            return size == 8 && at + 12 <= envelope_bytes ? get64(envelope + at + 4) : 0;
        at += 4 + size;
    }
    return 0;
}

// The list of names at `text`, `size` bytes long, each ended by a NUL.
static bool take_consumers(const char *text, size_t size, const char **consumers, uint32_t *count)
{
    *count = 0;
    for (size_t at = 0; at < size;) {
        size_t length = strnlen(text + at, size - at);
        if (length == 0 || at + length == size || *count == RECORD_CONSUMERS_MAX)
            return false;
        consumers[(*count)++] = text + at;
        at += length + 1;
    }
    return *count > 0;
}

bool bfr_record_envelope_decode(const uint8_t *envelope, const struct record_header *header, struct bfr_batch *batch,
                                const char **consumers, uint32_t *consumer_count, char *texts)
{
    uint32_t seen = 0;
    const uint8_t *end = envelope + header->envelope_bytes;
    *batch = (struct bfr_batch){.size = sizeof *batch,
                                .account = "",
                                .tenant = "",
                                .dataset = "",
                                .filename = "",
                                .batch_id = "",
                                .data_hint = "",
                                .content_type = "",
                                .received_ns = header->received_ns,
                                .body_bytes = header->body_bytes,
                                .crc32c = header->body_crc32c};
    for (const uint8_t *at = envelope; at < end;) {
        if (end - at < 4)
            return false;
        uint16_t tag = (uint16_t)(at[0] | at[1] << 8);
        size_t size = (size_t)(at[2] | at[3] << 8);
        const uint8_t *value = at + 4;
        if ((size_t)(end - value) < size || (tag < 32 && (seen & UINT32_C(1) << tag) != 0))
            return false;
        memcpy(texts, value, size);
        texts[size] = '\0'; // the four bytes of tag and length make room for it
        bool good = tag == TAG_CONSUMERS ? take_consumers(texts, size, consumers, consumer_count)
                                         : take_field(tag, value, size, texts, batch);
        if (!good)
            return false;
        seen |= tag < 32 ? UINT32_C(1) << tag : 0;
        texts += size + 1;
        at = value + size;
    }
    if ((seen & UINT32_C(1) << TAG_SOURCE_SHA256) == 0)
        memcpy(batch->source_sha256, batch->stored_sha256, sizeof batch->source_sha256);
    const uint32_t needed =
        1u << TAG_TENANT | 1u << TAG_DATASET | 1u << TAG_FILENAME | 1u << TAG_STORED_SHA256 | 1u << TAG_CONSUMERS;
    return (seen & needed) == needed;
}
