// SPDX-License-Identifier: Apache-2.0
// What a start finds in the directory, before anybody puts or leases.
#ifndef BFR_SPOOL_DISK_RECOVER_H
#define BFR_SPOOL_DISK_RECOVER_H

#include "disk_queue.h"

// List what is there, choose the next segment id, read what the newest segment adds to recent.log. Everything else is left to
// the keeper, so that a start does not take longer the more waits. Main thread, in start.
BFR_MUST_CHECK uint32_t bfr_disk_recover(struct disk_queue *queue, struct bfr_err *err);

#endif
