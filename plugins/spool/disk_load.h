// SPDX-License-Identifier: Apache-2.0
// A segment on disk becomes entries in RAM, and back: recovery, and what does not fit in RAM at once. `work` is held in all of
// these (at start nobody else is there).
#ifndef BFR_SPOOL_DISK_LOAD_H
#define BFR_SPOOL_DISK_LOAD_H

#include "disk_queue.h"

// The records of a segment that are not settled. Opens it if need be; scans it when it has no good index, and then sets
// damage aside, drops records that stand elsewhere too, and writes the index. `newest`: recent.log may lack its end. False:
// it cannot be read now (retry_at_ns says when), or is no segment and is gone (`*out_gone`).
bool bfr_disk_segment_read(struct disk_queue *queue, struct disk_segment *segment, bool newest, struct found *out,
                           bool *out_gone);
// Count it if that has not been done, and make it resident if `resident`. False: not now, or gone (then the segment is freed).
bool bfr_disk_segment_load(struct disk_queue *queue, struct disk_segment *segment, bool resident);
// Out of RAM again, if nothing in it is under way or has a story to tell. False: it stays.
bool bfr_disk_segment_unload(struct disk_queue *queue, struct disk_segment *segment);
// Take the segment out of all lists and figures and free it; its file is gone already.
void bfr_disk_segment_forget(struct disk_queue *queue, struct disk_segment *segment);
// Write the index of a sealed, resident segment from what is in RAM.
bool bfr_disk_segment_index(struct disk_queue *queue, struct disk_segment *segment);

#endif
