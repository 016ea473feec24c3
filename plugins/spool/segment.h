// SPDX-License-Identifier: Apache-2.0
// One segment file and its marks file on disk: create or recycle, append a group, sync, read back, punch, remove. Knows
// the files, not the batches in them. A segment is written by one thread; reading is [any].
#ifndef BFR_SPOOL_SEGMENT_H
#define BFR_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <bfr/status.h>

#include "record.h"

struct segment_file {
    uint64_t id;
    uint64_t nonce;
    uint64_t file_bytes; // preallocated
    uint64_t end_bytes;  // where the next record goes
    int fd;
    int marks_fd;
    uint64_t marks_bytes; // length of the marks file that is known to be good
    bool header_damaged;  // the header does not check; the nonce was got in another way
};

// Names as FORMAT.md has them: "000000000000002a.seg".
#define SEGMENT_NAME_SIZE 24
void bfr_segment_name(uint64_t id, const char *suffix, char out[SEGMENT_NAME_SIZE]);
// False when `name` is not one; *suffix then points into it ("seg", "done", "idx").
bool bfr_segment_name_parse(const char *name, uint64_t *id, const char **suffix);

// Bytes that {id}.{suffix} takes on the disk; 0: it is not there.
uint64_t bfr_segment_file_bytes(int directory, uint64_t id, const char *suffix);

bool bfr_segment_file_exists(int directory, uint64_t id, const char *suffix);

// Make segment `id` in the directory, out of {recycled}.free or anew when that is 0.
// Header and names are durable when it returns. errno is set on failure, and no file of
// that id is left.
BFR_MUST_CHECK bool bfr_segment_create(struct segment_file *segment, int directory, uint64_t id, uint64_t recycled,
                                       uint64_t file_bytes);
// Open what is there. False with errno: 0 = not a segment; ESTALE = a recycled file between two lives, in which nothing was
// ever acknowledged under this id (the machine stopped in bfr_segment_create), so it may be removed; else what failed.
BFR_MUST_CHECK bool bfr_segment_open(struct segment_file *segment, int directory, uint64_t id);
// The same for a reader, who may have no right to write and makes nothing. Without a marks file marks_fd is -1.
BFR_MUST_CHECK bool bfr_segment_open_reading(struct segment_file *segment, int directory, uint64_t id);
void bfr_segment_close(struct segment_file *segment);

// Write `count` vectors, `bytes` in all, at end_bytes, without moving it. errno on failure.
BFR_MUST_CHECK bool bfr_segment_write(struct segment_file *segment, struct iovec *vectors, size_t count,
                                      uint64_t bytes);
BFR_MUST_CHECK bool bfr_segment_sync(struct segment_file *segment);

// Exactly `size` bytes from `offset`; false with errno, 0 for a short file.
BFR_MUST_CHECK bool bfr_segment_read(const struct segment_file *segment, void *out, size_t size, uint64_t offset);

// Give the whole blocks of [from, to) back to the file system. False: not supported here.
bool bfr_segment_punch(struct segment_file *segment, uint64_t from, uint64_t to);

// Remove the segment, or make it {id}.free, to be recycled; then its marks and index. Needs no space. False with errno when
// the segment is still there, or may be after a crash; it can be called again.
bool bfr_segment_remove(int directory, uint64_t id, bool keep_file);

#endif
