// SPDX-License-Identifier: Apache-2.0
// Adoption: the batches that the previous product left in {directory}/{tenant}/{dataset}/{queue,retry,dlq}/ become records
// and dead letters of this spool. docs/adoption.md has the rules. Opened by the main thread in start, then the keeper's own.
#ifndef BFR_SPOOL_ADOPT_H
#define BFR_SPOOL_ADOPT_H

#include "disk_queue.h"

// Look whether there is a tree to adopt, and take what that needs: queue->adopt, or NULL. In start, before the commit thread
// runs. Failing is no reason not to start: it is logged, and the tree stays as it is.
void bfr_adopt_open(struct disk_queue *queue);
// Some files; true when there may be more to do at once. Keeper, without any lock.
bool bfr_adopt_step(struct disk_queue *queue);
void bfr_adopt_close(struct disk_queue *queue);

#endif
