// SPDX-License-Identifier: Apache-2.0
// Where the file system has no holes: what is left in a mostly settled segment moves to the current one, so that the whole
// file comes back. Keeper thread, `work` is held.
#ifndef BFR_SPOOL_DISK_MOVE_H
#define BFR_SPOOL_DISK_MOVE_H

#include "disk_queue.h"

// Empty one segment, if room is wanted and there is one worth it. False: there is none just now.
bool bfr_disk_move_one(struct disk_queue *queue);

// After a crash in the middle: which records of segments that were being emptied are still theirs. False: memory is short.
// Main thread, at start, before any segment is counted.
BFR_MUST_CHECK bool bfr_disk_move_recover(struct disk_queue *queue);
// Is this record of segment `id` a copy of one that is still in a segment that was being emptied?
bool bfr_disk_move_is_copy(const struct disk_queue *queue, uint64_t id, uint64_t sequence);
// Every segment is counted, and what stood twice does not any more.
void bfr_disk_move_recovered(struct disk_queue *queue);

#endif
