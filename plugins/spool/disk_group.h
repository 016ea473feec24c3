// SPDX-License-Identifier: Apache-2.0
// A group commit in the making: which batches, their heads, and the vectors that point at heads and bodies. The commit
// thread's own; reused from group to group.
#ifndef BFR_SPOOL_DISK_GROUP_H
#define BFR_SPOOL_DISK_GROUP_H

#include <sys/uio.h>

#include "disk_queue.h"

#define GROUP_ENTRIES_MAX 512

struct disk_group {
    struct disk_entry *entries[GROUP_ENTRIES_MAX];
    size_t count;
    uint64_t bytes; // in the segment
    uint8_t *heads; // headers and envelopes, one behind the other
    size_t heads_used;
    struct iovec *vectors;
    size_t vector_count, vector_room;
    uint8_t *recent; // entries for recent.log
    size_t recent_used;
};

enum group_fit {
    GROUP_TAKEN = 1,
    GROUP_FULL,       // write this group first
    GROUP_NO_ROOM,    // the group is empty, and even so the record does not fit into the segment
    GROUP_IMPOSSIBLE, // it cannot be written at all: memory, or an envelope beyond the format
};

struct disk_group *bfr_disk_group_new(void);
void bfr_disk_group_free(struct disk_group *group);
void bfr_disk_group_clear(struct disk_group *group);
// `entry` behind the others, at the end of `segment`. *out_bytes: what its record needs.
enum group_fit bfr_disk_group_add(struct disk_group *group, const struct disk_segment *segment,
                                  struct disk_entry *entry, uint64_t *out_bytes);

#endif
