// SPDX-License-Identifier: Apache-2.0
// How far the consumers of one batch are, and what that makes of the batch. Guarded by the queue's mutex.
#ifndef BFR_SPOOL_SETTLE_H
#define BFR_SPOOL_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include <bfr/queue.h>

// One consumer's view of one batch. Zero is never valid.
enum claim_state {
    CLAIM_WAITING = 1,
    CLAIM_LEASED = 2,
    CLAIM_CONFIRMED = 3, // final
    CLAIM_BURIED = 4     // final until redriven
};

// The sum over a batch's consumers.
struct settle {
    uint32_t open;   // neither confirmed nor buried
    uint32_t leased; // of the open ones
    uint32_t buried;
};

void bfr_settle_init(struct settle *settle, uint32_t consumers);

// Each changes *state and says false, changing nothing, when *state does not allow it.
bool bfr_settle_lease(struct settle *settle, uint8_t *state);
bool bfr_settle_give_back(struct settle *settle, uint8_t *state);
bool bfr_settle_confirm(struct settle *settle, uint8_t *state);
bool bfr_settle_bury(struct settle *settle, uint8_t *state);
bool bfr_settle_redrive(struct settle *settle, uint8_t *state);

// What the batch is now: enum bfr_settled.
uint32_t bfr_settle_result(const struct settle *settle);

#endif
