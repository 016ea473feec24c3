// SPDX-License-Identifier: Apache-2.0
// The duplicate memory of the disk queue: recent.log, and what the newest segment adds to it after a crash.
#ifndef BFR_SPOOL_DISK_RECENT_H
#define BFR_SPOOL_DISK_RECENT_H

#include "disk_queue.h"

// The slot of the queue table.
void bfr_disk_recent(void *self, void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried),
                     void *arg);

// Encoded entries of a group. Commit thread.
void bfr_disk_recent_add(struct disk_queue *queue, const uint8_t *bytes, size_t size, size_t entries);
void bfr_disk_recent_sync(struct disk_queue *queue);
// Open it, and learn how long it is. Start.
void bfr_disk_recent_open(struct disk_queue *queue);
// What went wrong; said once.
void bfr_disk_recent_trouble(struct disk_queue *queue, int error);
// It was purged: its key is free, after a restart too. Any thread.
void bfr_disk_recent_forget(struct disk_queue *queue, const struct bfr_batch *batch);
// The host's duplicate memory hears of it at once: enum bfr_key_state. As host->remember; no lock. Keeper.
bool bfr_disk_remember(struct disk_queue *queue, const struct bfr_batch *batch, uint32_t state);
// A record that recent.log may not have. Start.
void bfr_disk_recent_found(struct disk_queue *queue, const struct bfr_batch *batch, uint64_t sequence);

#endif
