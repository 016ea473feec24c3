// SPDX-License-Identifier: Apache-2.0
// Room in the spool: what is used, what may still come in, who was sent away for lack of it.
#ifndef BFR_SPOOL_DISK_ROOM_H
#define BFR_SPOOL_DISK_ROOM_H

#include "disk_queue.h"

// The slots of the queue table.
void bfr_disk_stats(void *self, struct bfr_queue_stats *out);
uint32_t bfr_disk_reserve(void *self, const char *tenant, uint64_t bytes);
void bfr_disk_release(void *self, const char *tenant, uint64_t bytes);

// Everything that counts against the limit. The mutex is held in all of these.
uint64_t bfr_disk_used(const struct disk_queue *queue);
// A reservation has become a record.
void bfr_disk_room_consume(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);
// True when someone waits for room that has just come back: call host->ready once the mutex is free.
bool bfr_disk_room_returned(struct disk_queue *queue);
// Records of a tenant came or went: its share.
void bfr_disk_share_add(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);
void bfr_disk_share_remove(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes);

#endif
