// SPDX-License-Identifier: Apache-2.0
// Room in the spool: what is used, what may still come in, who was sent away for lack of it.
#ifndef BFR_SPOOL_DISK_ROOM_H
#define BFR_SPOOL_DISK_ROOM_H

#include "disk_queue.h"
#include "marks.h"

// The slots of the queue table.
void bfr_disk_stats(void *self, struct bfr_queue_stats *out);
uint32_t bfr_disk_reserve(void *self, const char *tenant, uint64_t bytes);
void bfr_disk_release(void *self, const char *tenant, uint64_t bytes);

// A marks file is given this part of its segment's size beforehand.
#define MARKS_SHARE 256

// In whole blocks, as a file system counts.
uint64_t bfr_disk_blocks(uint64_t bytes);
// What the files of a dead letter take whose body has so many bytes.
uint64_t bfr_disk_letter_blocks(uint64_t body_bytes);
// The most that dead letters may take, in bytes.
double bfr_disk_letters_share(const struct disk_queue *queue);
// Marks and index of a segment of that size before anything is in it.
uint64_t bfr_disk_new_side(uint64_t segment_bytes);

// Everything that counts against the limit. The mutex is held in all that follow.
uint64_t bfr_disk_used(const struct disk_queue *queue);
// What the limit leaves beside that.
uint64_t bfr_disk_outside(const struct disk_queue *queue);
// May dead letters take that much more?
bool bfr_disk_letters_fit(const struct disk_queue *queue, uint64_t bytes);

// What marks and index of a segment take, or will take: when it is made; when records are added to it; when it was found
// with files of that size and `live` records to be settled; when its index was written; when it is gone.
void bfr_disk_side_new(struct disk_queue *queue, struct disk_segment *segment);
void bfr_disk_side_grow(struct disk_queue *queue, struct disk_segment *segment, struct disk_entry *const *entries,
                        size_t count);
void bfr_disk_side_found(struct disk_queue *queue, struct disk_segment *segment, uint64_t marks, uint64_t index,
                         uint64_t live);
void bfr_disk_side_indexed(struct disk_queue *queue, struct disk_segment *segment, uint64_t index);
void bfr_disk_side_forget(struct disk_queue *queue, struct disk_segment *segment);

// A reservation that nothing refuses, for what is written again. Without the mutex.
void bfr_disk_room_promise(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);
// A reservation has become a record.
void bfr_disk_room_consume(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);
// True when someone waits for room that has just come back: call host->ready once the mutex is free.
bool bfr_disk_room_returned(struct disk_queue *queue);
// Records of a tenant came or went: its share.
void bfr_disk_share_add(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);
void bfr_disk_share_remove(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);

#endif
