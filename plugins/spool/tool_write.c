// SPDX-License-Identifier: Apache-2.0
// New segments from a command: their ids, and a list of records written as one. The daemon that comes next finds them like its
// own.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

#define SEGMENT_ALIGN  4096u
#define CHECKPOINT_MAX 64
#define SEQUENCE_BITS  24

static uint64_t highest_id(const struct disk_dir *dir)
{
    uint64_t highest = 0, id;
    const int directories[] = {dir->segments, dir->letters};
    for (size_t i = 0; i < 2; i++) {
        int fd = openat(directories[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
        const char *suffix;
        for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
            if (!bfr_segment_name_parse(entry->d_name, &id, &suffix))
                continue;
            id = i == 0 ? id : id >> SEQUENCE_BITS; // a letter is named by its sequence
            highest = id > highest ? id : highest;
        }
        if (stream != NULL)
            (void)closedir(stream);
    }
    return highest;
}

uint64_t bfr_tool_next_id(const struct disk_dir *dir)
{
    size_t size = 0;
    char *text = bfr_disk_dir_read(dir->root, "checkpoint", CHECKPOINT_MAX, &size);
    uint64_t said = text != NULL ? strtoull(text, NULL, 10) : 0, next = highest_id(dir) + 1;
    free(text);
    return said > next && said >> 39 == 0 ? said : next;
}

bool bfr_tool_save_id(const struct disk_dir *dir, uint64_t next_id)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64 "\n", next_id);
    return bfr_disk_dir_write(dir->root, "checkpoint", text, (size_t)size) && fsync(dir->root) == 0;
}

static size_t encode(const struct tool_draft *draft, uint64_t nonce, uint64_t id, uint64_t number,
                     uint8_t out[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES])
{
    const struct record_header header = {
        .nonce = nonce, .segment_id = id, .sequence = id << SEQUENCE_BITS | number, .letter = draft->letter};
    return bfr_record_encode(draft->batch, &header, draft->sinks, draft->sink_count, out,
                             RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES);
}

uint64_t bfr_tool_draft_bytes(const struct tool_draft *draft)
{
    uint8_t head[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    size_t size = encode(draft, 0, 0, 0, head);
    return bfr_record_bytes(size > 0 ? (uint32_t)(size - RECORD_HEADER_BYTES) : 0, draft->batch->body_bytes);
}

static bool append(struct segment_file *segment, const struct tool_draft *draft, uint64_t number)
{
    static const uint8_t zeros[RECORD_ALIGN];
    uint8_t head[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    size_t size = encode(draft, segment->nonce, segment->id, number, head);
    if (size == 0) {
        errno = EINVAL;
        return false;
    }
    uint64_t body = draft->batch->body_bytes;
    uint64_t whole = bfr_record_bytes((uint32_t)(size - RECORD_HEADER_BYTES), body);
    struct iovec vectors[3] = {{head, size},
                               {(void *)(uintptr_t)draft->body, (size_t)body},
                               {(void *)(uintptr_t)zeros, (size_t)(whole - size - body)}};
    bool good = bfr_segment_write(segment, vectors, 3, whole);
    segment->end_bytes += whole;
    return good;
}

bool bfr_tool_write_segment(const struct disk_dir *dir, uint64_t id, const struct tool_draft *first)
{
    struct segment_file segment;
    uint64_t bytes = SEGMENT_HEADER_BYTES, number = 1;
    for (const struct tool_draft *at = first; at != NULL; at = at->next)
        bytes += bfr_tool_draft_bytes(at);
    bytes = (bytes + SEGMENT_ALIGN - 1) & ~(uint64_t)(SEGMENT_ALIGN - 1);
    bool made = bfr_segment_create(&segment, dir->segments, id, 0, bytes), good = made;
    for (const struct tool_draft *at = first; good && at != NULL; at = at->next)
        good = append(&segment, at, number++);
    good = good && bfr_segment_sync(&segment);
    int saved = errno;
    if (made)
        bfr_segment_close(&segment);
    if (made && !good)
        (void)bfr_segment_remove(dir->segments, id, false);
    errno = saved;
    return good;
}
