// SPDX-License-Identifier: Apache-2.0
// See disk_group.h. Bodies are never copied: the vectors point into the network buffers that the batches hold.
#include "disk_group.h"

#include <stdlib.h>

#include "recent_log.h"

#define HEADS_BYTES     ((size_t)512 << 10)
#define GROUP_BYTES_MAX (UINT64_C(16) << 20) // what one sync has to wait for
#define HEAD_MAX_BYTES  ((size_t)RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES)
#define SEQUENCE_BITS   24

struct disk_group *bfr_disk_group_new(void)
{
    struct disk_group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    group->heads = malloc(HEADS_BYTES);
    group->recent = malloc((size_t)GROUP_ENTRIES_MAX * RECENT_ENTRY_MAX);
    if (group->heads == NULL || group->recent == NULL) {
        bfr_disk_group_free(group);
        return NULL;
    }
    return group;
}

void bfr_disk_group_free(struct disk_group *group)
{
    if (group == NULL)
        return;
    free(group->heads);
    free(group->recent);
    free(group->vectors);
    free(group);
}

void bfr_disk_group_clear(struct disk_group *group)
{
    group->count = 0;
    group->bytes = 0;
    group->heads_used = 0;
    group->vector_count = 0;
    group->recent_used = 0;
}

static bool make_vectors(struct disk_group *group, size_t more)
{
    size_t wanted = group->vector_count + more;
    if (wanted <= group->vector_room)
        return true;
    size_t room = group->vector_room == 0 ? 1024 : group->vector_room;
    while (room < wanted)
        room *= 2;
    struct iovec *vectors = reallocarray(group->vectors, room, sizeof *vectors);
    if (vectors == NULL)
        return false;
    group->vectors = vectors;
    group->vector_room = room;
    return true;
}

static void add_vector(struct disk_group *group, const void *data, size_t size)
{
    if (size > 0)
        group->vectors[group->vector_count++] = (struct iovec){(void *)(uintptr_t)data, size};
}

static void add_vectors(struct disk_group *group, const struct bfr_batch *batch, const uint8_t *head, size_t head_bytes,
                        uint64_t record_bytes)
{
    static const uint8_t padding[RECORD_ALIGN];
    add_vector(group, head, head_bytes);
    for (uint32_t i = 0; i < batch->span_count; i++)
        add_vector(group, batch->spans[i].data, batch->spans[i].size);
    add_vector(group, padding, (size_t)(record_bytes - head_bytes - batch->body_bytes));
}

enum group_fit bfr_disk_group_add(struct disk_group *group, const struct disk_segment *segment,
                                  struct disk_entry *entry, uint64_t *out_bytes)
{
    const struct bfr_batch *batch = entry->batch;
    const struct segment_file *file = &segment->file;
    uint64_t number = segment->records + group->count + 1;
    const struct record_header header = {.nonce = file->nonce,
                                         .segment_id = file->id,
                                         // One that moved keeps its own.
                                         .sequence = entry->sequence != 0 ? entry->sequence
                                                                          : file->id << SEQUENCE_BITS | number,
                                         .received_ns = batch->received_ns,
                                         .letter = entry->letter};

    if (group->count == GROUP_ENTRIES_MAX || HEADS_BYTES - group->heads_used < HEAD_MAX_BYTES)
        return GROUP_FULL;
    uint8_t *head = group->heads + group->heads_used;
    size_t head_bytes = bfr_record_encode(batch, &header, (const char *const *)entry->set->names, entry->set->count,
                                          head, HEAD_MAX_BYTES);
    if (head_bytes == 0 || !make_vectors(group, (size_t)batch->span_count + 2))
        return GROUP_IMPOSSIBLE;
    uint32_t envelope_bytes = (uint32_t)(head_bytes - RECORD_HEADER_BYTES);
    uint64_t bytes = bfr_record_bytes(envelope_bytes, batch->body_bytes);
    *out_bytes = bytes;
    bool fits = group->bytes + bytes <= file->file_bytes - file->end_bytes && number < UINT64_C(1) << SEQUENCE_BITS;
    if (!fits || (group->count > 0 && group->bytes + bytes > GROUP_BYTES_MAX))
        return group->count > 0 ? GROUP_FULL : GROUP_NO_ROOM;

    add_vectors(group, batch, head, head_bytes, bytes);
    if (entry->sequence == 0) // else it is there already
        group->recent_used += bfr_recent_encode(batch, header.sequence, group->recent + group->recent_used);
    entry->sequence = header.sequence;
    entry->envelope_bytes = envelope_bytes;
    entry->offset = file->end_bytes + group->bytes;
    group->entries[group->count++] = entry;
    group->heads_used += head_bytes;
    group->bytes += bytes;
    return GROUP_TAKEN;
}
