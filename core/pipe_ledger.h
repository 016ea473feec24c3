// SPDX-License-Identifier: Apache-2.0
// The books: recovered + accepted = stored + held + buried + purged, per tenant, in batches and in bytes. Every change
// is one of the moves below, and no move can break the equation.
#ifndef BFR_CORE_PIPE_LEDGER_H
#define BFR_CORE_PIPE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/ext/status.h>

struct bfr_ledger;

enum bfr_move {
    BFR_MOVE_RECOVERED_HELD = 1, // found at start, waiting
    BFR_MOVE_RECOVERED_BURIED,   // found at start, a dead letter
    BFR_MOVE_ACCEPTED,           // taken by the first queue
    BFR_MOVE_PASSED,             // accepted and stored at once: a pipeline without a queue
    BFR_MOVE_STORED,             // held before
    BFR_MOVE_BURIED,             // held before
    BFR_MOVE_REDRIVEN,           // buried before, held again
    BFR_MOVE_PURGED_HELD,
    BFR_MOVE_PURGED_BURIED
};

struct bfr_booking {
    uint32_t move;      // enum bfr_move
    const char *tenant; // borrowed for the call
    uint64_t bytes;     // of the batches
    uint64_t batches;   // how many; 0 stands for one
};

struct bfr_ledger *bfr_ledger_new(void); // NULL when memory or randomness is short
void bfr_ledger_free(struct bfr_ledger *ledger);

// Make sure `tenant` has a row, so that later bookings cannot fail. False when memory is short. [any]
bool bfr_ledger_admit(struct bfr_ledger *ledger, const char *tenant);

// All or none are seen by a snapshot; one lock for the group. [any]
#define BFR_BOOKINGS_MAX 64
void bfr_ledger_book(struct bfr_ledger *ledger, const struct bfr_booking *bookings, size_t count);

// One moment: the total (tenant NULL), then the tenants in the order in which they first appeared. `visit` runs without
// a lock and returns false to stop. When memory is short only the total is visited. [any]
void bfr_ledger_visit(struct bfr_ledger *ledger, bool (*visit)(void *arg, const struct bfr_ledger_row *row), void *arg);

// The difference of the equation, in batches. 0 unless there is a bug. [any]
int64_t bfr_ledger_unaccounted(struct bfr_ledger *ledger);

#endif
