// SPDX-License-Identifier: Apache-2.0
// See disk_read.h. One allocation holds header, envelope and body; the batch that is made of it borrows the body and frees
// all with its last holder. Nothing is believed that does not check.
#include "disk_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK_BYTES 4096

// From here on a record has pages of its own, which go back to the kernel with it. Taken here and freed by the threads of
// sinks, records of all sizes would leave holes in the heap, as much again as is in use.
#define MAPPED_MIN_BYTES (64u << 10)

struct record_bytes {
    size_t mapped; // 0: from the heap
    uint8_t bytes[];
};

static struct record_bytes *take_bytes(size_t size)
{
    struct record_bytes *record;
    size_t whole = sizeof *record + size;
    if (whole < MAPPED_MIN_BYTES) {
        record = malloc(whole);
        if (record != NULL)
            record->mapped = 0;
        return record;
    }
    record = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (record == MAP_FAILED)
        return NULL;
    record->mapped = whole;
    return record;
}

static void free_bytes(void *arg)
{
    struct record_bytes *record = arg;
    if (record->mapped > 0)
        munmap(record, record->mapped);
    else
        free(record);
}

static bool is_hole(int fd, off_t at)
{
    return at >= 0 && lseek(fd, at, SEEK_HOLE) == at;
}

// Nothing but zeros where a header should be: a punched hole, if there is one in these blocks or right before them. (Its
// ragged ends are zeros that were written.)
static bool was_punched(const struct disk_place *place, const uint8_t *header)
{
    static const uint8_t zeros[RECORD_HEADER_BYTES];
    off_t block = (off_t)(place->offset & ~(uint64_t)(BLOCK_BYTES - 1));
    if (memcmp(header, zeros, sizeof zeros) != 0)
        return false;
    return is_hole(place->file->fd, block) || is_hole(place->file->fd, block + BLOCK_BYTES) ||
           is_hole(place->file->fd, block - BLOCK_BYTES);
}

// The header is the one that is expected, and header and envelope check.
static bool head_is_good(const struct disk_place *place, const uint8_t *bytes, struct record_header *out)
{
    return bfr_record_header_decode(bytes, place->file->id, place->file->nonce, out) &&
           out->sequence == place->sequence && out->body_bytes == place->body_bytes &&
           out->envelope_bytes == place->envelope_bytes && bfr_record_check(bytes, out);
}

static enum disk_read make_batch(struct disk_queue *queue, const struct record_header *header,
                                 struct record_bytes *record, bool with_body, const struct bfr_batch **out)
{
    const uint8_t *bytes = record->bytes;
    char texts[ENVELOPE_MAX_BYTES + 16];
    const char *consumers[RECORD_CONSUMERS_MAX];
    uint32_t consumer_count = 0;
    struct bfr_batch batch;
    const struct bfr_span span = {bytes + RECORD_HEADER_BYTES + header->envelope_bytes, (size_t)header->body_bytes};

    if (!bfr_record_envelope_decode(bytes + RECORD_HEADER_BYTES, header, &batch, consumers, &consumer_count, texts))
        return DISK_READ_DAMAGED;
    batch.flags |= BFR_BATCH_READ_BACK;
    if (with_body && header->body_bytes > 0) {
        batch.spans = &span;
        batch.span_count = 1;
    }
    *out = queue->host->batch_make(queue->host, &batch, free_bytes, record);
    return *out != NULL ? DISK_READ_OK : DISK_READ_MEMORY;
}

static enum disk_read read_record(struct disk_queue *queue, const struct disk_place *place, bool with_body,
                                  const struct bfr_batch **out)
{
    size_t head = RECORD_HEADER_BYTES + (size_t)place->envelope_bytes;
    size_t size = head + (with_body ? (size_t)place->body_bytes : 0);
    enum disk_read result = DISK_READ_DAMAGED;
    struct record_header header;
    struct record_bytes *record = take_bytes(size);

    *out = NULL;
    if (record == NULL)
        return DISK_READ_MEMORY;
    uint8_t *bytes = record->bytes;
    errno = 0;
    if (!bfr_segment_read(place->file, bytes, size, place->offset))
        result = errno == 0 ? DISK_READ_DAMAGED : DISK_READ_ERROR; // 0: the file ends before
    else if (was_punched(place, bytes))
        result = DISK_READ_HOLE;
    else if (head_is_good(place, bytes, &header) &&
             (!with_body || bfr_crc32c(0, bytes + head, (size_t)place->body_bytes) == header.body_crc32c))
        result = make_batch(queue, &header, record, with_body, out);
    if (*out == NULL) {
        int saved = errno;
        free_bytes(record);
        errno = saved;
    }
    return result;
}

enum disk_read bfr_disk_read_batch(struct disk_queue *queue, const struct disk_place *place,
                                   const struct bfr_batch **out)
{
    return read_record(queue, place, true, out);
}

enum disk_read bfr_disk_read_envelope(struct disk_queue *queue, const struct disk_place *place,
                                      const struct bfr_batch **out)
{
    return read_record(queue, place, false, out);
}
