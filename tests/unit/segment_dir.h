// SPDX-License-Identifier: Apache-2.0
// A directory with segments for tests: batches that differ, records written as the commit thread writes them, and what a
// scan tells of them. Whole files are read and replaced, so that a test can damage them.
#ifndef BFR_TEST_SEGMENT_DIR_H
#define BFR_TEST_SEGMENT_DIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "marks.h"
#include "segment_load.h"

#define SEEN_MAX 64

static const char *const test_consumers[] = {"main", "copy"};

struct segment_dir {
    char path[64];
    int fd;
};

static inline struct segment_dir open_dir(void)
{
    struct segment_dir dir = {.path = "/tmp/bfr-segments-XXXXXX"};
    assert_non_null(mkdtemp(dir.path));
    dir.fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir.fd >= 0);
    return dir;
}

static inline void close_dir(struct segment_dir *dir)
{
    DIR *stream = opendir(dir->path);
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dir->fd, entry->d_name, 0), 0);
    closedir(stream);
    close(dir->fd);
    assert_int_equal(rmdir(dir->path), 0);
}

// A whole file, and its replacement. `name` is relative to the directory.
static inline uint8_t *slurp(const struct segment_dir *dir, const char *name, size_t *out_size)
{
    int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    assert_true(fd >= 0 && fstat(fd, &stat) == 0);
    uint8_t *bytes = malloc((size_t)stat.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, (size_t)stat.st_size, 0), stat.st_size);
    close(fd);
    *out_size = (size_t)stat.st_size;
    return bytes;
}

static inline void replace(const struct segment_dir *dir, const char *name, const uint8_t *bytes, size_t size)
{
    int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, 0), (ssize_t)size);
    close(fd);
}

static inline bool exists(const struct segment_dir *dir, const char *name)
{
    return faccessat(dir->fd, name, F_OK, 0) == 0;
}

static inline struct bfr_batch make_batch(const char *tenant, const char *filename, const void *body, size_t bytes)
{
    struct bfr_batch batch = {.size = sizeof batch,
                              .account = "a1",
                              .tenant = tenant,
                              .dataset = "web",
                              .filename = filename,
                              .batch_id = "id-7",
                              .data_hint = "ndjson",
                              .content_type = "application/octet-stream",
                              .line_count = 3,
                              .original_bytes = 7 * bytes,
                              .created_ns = 1000,
                              .received_ns = 2000,
                              .body_bytes = bytes,
                              .crc32c = bfr_crc32c(0, body, bytes)};
    for (size_t i = 0; i < sizeof batch.stored_sha256; i++)
        batch.stored_sha256[i] = batch.source_sha256[i] = (uint8_t)(filename[0] + i);
    return batch;
}

// Append one record; returns its offset. `sync` is the caller's business.
static inline uint64_t write_record(struct segment_file *segment, uint64_t sequence, const struct bfr_batch *batch,
                                    const void *body)
{
    static const uint8_t zeros[RECORD_ALIGN];
    uint8_t head[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    const struct record_header header = {.nonce = segment->nonce, .segment_id = segment->id, .sequence = sequence};
    size_t head_bytes = bfr_record_encode(batch, &header, test_consumers, 2, head, sizeof head);
    assert_true(head_bytes > RECORD_HEADER_BYTES);
    uint64_t whole = bfr_record_bytes((uint32_t)(head_bytes - RECORD_HEADER_BYTES), batch->body_bytes);
    struct iovec vectors[3] = {{head, head_bytes},
                               {(void *)(uintptr_t)body, batch->body_bytes},
                               {(void *)(uintptr_t)zeros, whole - head_bytes - batch->body_bytes}};
    uint64_t offset = segment->end_bytes;
    assert_true(bfr_segment_write(segment, vectors, 3, whole));
    segment->end_bytes += whole;
    return offset;
}

// One record with a body of `bytes` bytes, all of them the first letter of its name.
static inline uint64_t write_simple(struct segment_file *segment, uint64_t sequence, const char *filename, size_t bytes)
{
    char *body = malloc(bytes + 1);
    assert_non_null(body);
    memset(body, filename[0], bytes);
    const struct bfr_batch batch = make_batch("acme", filename, body, bytes);
    uint64_t offset = write_record(segment, sequence, &batch, body);
    free(body);
    return offset;
}

static inline void write_mark(struct segment_file *segment, uint64_t sequence, uint32_t consumer, uint32_t state)
{
    uint8_t bytes[MARK_BYTES];
    const struct mark mark = {.sequence = sequence, .consumer = consumer, .state = state};
    bfr_mark_encode(&mark, segment->nonce, bytes);
    assert_true(bfr_marks_append(segment, bytes, sizeof bytes));
}

// What a scan told.
struct seen {
    uint64_t sequences[SEEN_MAX];
    uint64_t offsets[SEEN_MAX];
    size_t records;
    uint64_t gap_from[SEEN_MAX];
    uint64_t gap_to[SEEN_MAX];
    bool gap_torn[SEEN_MAX];
    size_t gaps;
    uint64_t settled; // this sequence counts as settled
    uint64_t end;
};

static inline void see_record(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                              bool settled)
{
    struct seen *seen = arg;
    (void)envelope;
    (void)settled;
    assert_true(seen->records < SEEN_MAX);
    seen->offsets[seen->records] = offset;
    seen->sequences[seen->records++] = header->sequence;
}

static inline void see_gap(void *arg, uint64_t from, uint64_t to, bool torn)
{
    struct seen *seen = arg;
    assert_true(seen->gaps < SEEN_MAX);
    assert_true(from < to);
    seen->gap_from[seen->gaps] = from;
    seen->gap_to[seen->gaps] = to;
    seen->gap_torn[seen->gaps++] = torn;
}

static inline bool see_settled(void *arg, const struct record_header *header, const uint8_t *envelope)
{
    const struct seen *seen = arg;
    (void)envelope;
    return seen->settled != 0 && header->sequence == seen->settled;
}

static inline void scan_open(const struct segment_file *segment, struct seen *out)
{
    const struct scan_events events = {see_record, see_gap, see_settled, out};
    assert_true(bfr_segment_scan(segment, &events, &out->end));
}

// Open segment `id`, scan it, close it. False when it cannot be opened.
static inline bool scan_id(const struct segment_dir *dir, uint64_t id, struct seen *out)
{
    struct segment_file segment;
    if (!bfr_segment_open(&segment, dir->fd, id))
        return false;
    scan_open(&segment, out);
    bfr_segment_close(&segment);
    return true;
}

static inline bool has_seen(const struct seen *seen, uint64_t sequence)
{
    for (size_t i = 0; i < seen->records; i++)
        if (seen->sequences[i] == sequence)
            return true;
    return false;
}

#endif
