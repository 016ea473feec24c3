// SPDX-License-Identifier: Apache-2.0
// Redriving without being asked: when a sink's dry spell ends, the letters that it made are offered to it again, once.
#ifndef BFR_CORE_PIPE_RECOVERY_H
#define BFR_CORE_PIPE_RECOVERY_H

#include "pipe_chain.h"

// One turn, `arg` is the pipeline: what the links have noted since the last one. Reads and writes the queue's disk, for long perhaps. Returns
// UINT64_MAX: only a wake-up brings news. [recovery pump, or main without pumps]
uint64_t bfr_recovery_turn(void *arg);
// A link has noted a spell; `arg` is its runner. [pump]
void bfr_recovery_wake(void *arg);

#endif
