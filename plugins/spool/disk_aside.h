// SPDX-License-Identifier: Apache-2.0
// quarantine/: what could not be read is kept there, for a person to look at, and never touched again.
#ifndef BFR_SPOOL_DISK_ASIDE_H
#define BFR_SPOOL_DISK_ASIDE_H

#include "disk_queue.h"

// Copy [from, to) of a segment to quarantine/{id}-{from}.bin. `torn`: the last write of a crash, never acknowledged.
void bfr_disk_aside_bytes(struct disk_queue *queue, const struct segment_file *file, uint64_t from, uint64_t to,
                          bool torn);
// Move a whole segment there, with its marks. False: it is still where it was.
bool bfr_disk_aside_segment(struct disk_queue *queue, uint64_t id);
// What is in there, in bytes. Start.
uint64_t bfr_disk_aside_count(const struct disk_queue *queue);

// May that much more be set aside? It counts from then on.
bool bfr_disk_aside_take(struct disk_queue *queue, uint64_t bytes);

#endif
