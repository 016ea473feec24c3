// SPDX-License-Identifier: Apache-2.0
// Making, starting and ending the disk queue. Main thread.
#ifndef BFR_SPOOL_DISK_LIFE_H
#define BFR_SPOOL_DISK_LIFE_H

#include "disk_queue.h"

BFR_MUST_CHECK uint32_t bfr_disk_new(const struct bfr_host *host, const struct disk_options *options,
                                     struct disk_queue **out, struct bfr_err *err);
void bfr_disk_free(struct disk_queue *queue);
BFR_MUST_CHECK uint32_t bfr_disk_start(struct disk_queue *queue, struct bfr_err *err);
void bfr_disk_stop(struct disk_queue *queue);

// The slot of the queue table.
uint32_t bfr_disk_consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err);

#endif
