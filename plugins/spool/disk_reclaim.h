// SPDX-License-Identifier: Apache-2.0
// Space back: whole segments, and holes where some of a segment is still wanted. Keeper thread, `work` is held.
#ifndef BFR_SPOOL_DISK_RECLAIM_H
#define BFR_SPOOL_DISK_RECLAIM_H

#include "disk_queue.h"

// Remove, or keep as a spare, one sealed segment that nobody wants anything of. False: there is none just now.
bool bfr_disk_remove_one(struct disk_queue *queue);
// The same of segment `id` alone.
bool bfr_disk_remove_id(struct disk_queue *queue, uint64_t id);
// Give up a spare when somebody waits and the limit leaves no room beside the segments. False: no need.
bool bfr_disk_spare_drop(struct disk_queue *queue);
// Punch holes into one segment that has much to give back. False: there is none just now.
bool bfr_disk_punch_one(struct disk_queue *queue);

#endif
