// SPDX-License-Identifier: Apache-2.0
// Reading a record back from its segment. No mutex; the segment is pinned, so its descriptor stays open.
#ifndef BFR_SPOOL_DISK_READ_H
#define BFR_SPOOL_DISK_READ_H

#include "disk_queue.h"

enum disk_read {
    DISK_READ_OK = 1,
    DISK_READ_DAMAGED, // its bytes changed
    DISK_READ_HOLE,    // a hole was punched here: it was done with, and only its mark is lost
    DISK_READ_MEMORY,  // not now
    DISK_READ_ERROR    // the disk does not give it; errno
};

// Where a record stands; what an entry and a found record have in common.
struct disk_place {
    const struct segment_file *file;
    uint64_t sequence;
    uint64_t offset;
    uint64_t body_bytes;
    uint32_t envelope_bytes;
};

// The whole batch, checked; one reference for the caller.
enum disk_read bfr_disk_read_batch(struct disk_queue *queue, const struct disk_place *place,
                                   const struct bfr_batch **out);
// Its envelope alone: a batch without a body and with its lengths; one reference for the caller.
enum disk_read bfr_disk_read_envelope(struct disk_queue *queue, const struct disk_place *place,
                                      const struct bfr_batch **out);

static inline struct disk_place bfr_disk_place_of(const struct disk_entry *entry)
{
    return (struct disk_place){&entry->segment->file, entry->sequence, entry->offset, entry->body_bytes,
                               entry->envelope_bytes};
}

#endif
