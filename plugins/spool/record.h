// SPDX-License-Identifier: Apache-2.0
// One record of a segment, as FORMAT.md lays it out: header and envelope to bytes and back. Pure; knows no files.
#ifndef BFR_SPOOL_RECORD_H
#define BFR_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/batch.h>

#define RECORD_ALIGN         64u
#define RECORD_HEADER_BYTES  64u
#define SEGMENT_HEADER_BYTES 64u
#define ENVELOPE_MAX_BYTES   32768u // a request's whole head (16 KiB), ids and consumers fit
#define RECORD_CONSUMERS_MAX 32u

struct segment_header {
    uint64_t id;
    uint64_t nonce;
    int64_t created_ns;
    uint64_t file_bytes;
};

struct record_header {
    uint64_t nonce;
    uint64_t segment_id;
    uint64_t sequence;
    uint64_t body_bytes;
    uint32_t envelope_bytes;
    uint32_t body_crc32c;
    int64_t received_ns;
    uint64_t letter; // to encode: the sequence of the dead letter that this record takes back; 0: none
};

// Whole length in the segment, padding included.
static inline uint64_t bfr_record_bytes(uint32_t envelope_bytes, uint64_t body_bytes)
{
    uint64_t bytes = RECORD_HEADER_BYTES + (uint64_t)envelope_bytes + body_bytes;
    return (bytes + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

uint32_t bfr_crc32c(uint32_t crc, const void *data, size_t size); // start with 0

void bfr_segment_header_encode(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES]);
bool bfr_segment_header_decode(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out);
// The same for a damaged one: *out is what it says, unchecked. False when not even the magic is there.
bool bfr_segment_header_guess(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out);

// Header and envelope of `batch` into out[capacity]; returns their length, or 0 when they do not fit, or the envelope is
// one that a reader would refuse.
size_t bfr_record_encode(const struct bfr_batch *batch, const struct record_header *header,
                         const char *const *consumers, uint32_t consumer_count, uint8_t *out, size_t capacity);

// Is there a header of this segment at `in`, as far as magic, version, nonce and id tell? The CRC is bfr_record_check's.
// *out is filled either way.
bool bfr_record_header_decode(const uint8_t in[RECORD_HEADER_BYTES], uint64_t segment_id, uint64_t nonce,
                              struct record_header *out);
// Was this once a header of this segment, although something in it is wrong now? True when the nonce, which nothing else
// carries, or magic and id are there.
bool bfr_record_header_resembles(const uint8_t in[RECORD_HEADER_BYTES], uint64_t segment_id, uint64_t nonce);
// The nonce that a record header gives for itself.
uint64_t bfr_record_header_nonce(const uint8_t in[RECORD_HEADER_BYTES]);
// The CRC over header and envelope; `in` holds both.
bool bfr_record_check(const uint8_t *in, const struct record_header *header);

// The dead letter that a record with this envelope takes back, see FORMAT.md; 0: none.
uint64_t bfr_record_letter(const uint8_t *envelope, uint32_t envelope_bytes);

// The envelope's fields into `batch`, whose texts then point into `texts` (at least envelope_bytes + 16 bytes long, kept
// by the caller as long as the batch struct). Body spans, lengths and CRC come from the header. False: not an envelope.
bool bfr_record_envelope_decode(const uint8_t *envelope, const struct record_header *header, struct bfr_batch *batch,
                                const char **consumers, uint32_t *consumer_count, char *texts);

#endif
