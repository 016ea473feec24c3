// SPDX-License-Identifier: Apache-2.0
// The way in, up to the commit thread.
#ifndef BFR_SPOOL_DISK_PUT_H
#define BFR_SPOOL_DISK_PUT_H

#include "disk_queue.h"

// The slot of the queue table.
size_t bfr_disk_put(void *self, const struct bfr_delivery *const *deliveries, size_t count);

// Have `entry`, which has a batch and is opened for its set, written as a new record by the commit thread. It is entered and
// neither completed nor offered; `errand` is counted down. False when memory is short or the queue ends: nothing happened.
bool bfr_disk_put_errand(struct disk_queue *queue, struct disk_entry *entry, struct disk_errand *errand);
// Wait until the commit thread is through with all of it. False when some of it failed. No lock is held but `work`.
bool bfr_disk_errand_wait(struct disk_queue *queue, struct disk_errand *errand);

#endif
