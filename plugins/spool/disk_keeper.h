// SPDX-License-Identifier: Apache-2.0
// The keeper thread: everything about files that can wait.
#ifndef BFR_SPOOL_DISK_KEEPER_H
#define BFR_SPOOL_DISK_KEEPER_H

#include "disk_queue.h"

BFR_MUST_CHECK uint32_t bfr_disk_keeper_start(struct disk_queue *queue, struct bfr_err *err);
// Whoever keeps `work` for long lets go of it now and then and waits here, for a turn, as a mutex knows no queue. Any thread
// without a lock.
void bfr_disk_keeper_pass(struct disk_queue *queue);
void bfr_disk_keeper_stop(struct disk_queue *queue);
// What a clean stop leaves in order, so that the next start reads no segment: indexes. After both threads.
void bfr_disk_keeper_finish(struct disk_queue *queue);

#endif
