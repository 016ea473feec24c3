// SPDX-License-Identifier: Apache-2.0
// The duplicate memory: which (tenant, dataset, filename) is known with which bytes, and who waits for it.
//
// A claim goes through: pending (the intake is putting it, undecided) -> accepted (held, below the configured ack
// level) -> final (level reached, or buried when the level is sink). Pending and accepted claims are pinned; final ones
// are known for the window. A batch that is not accepted, or purged, gives its key back.
#ifndef BFR_CORE_PIPE_DEDUP_H
#define BFR_CORE_PIPE_DEDUP_H

#include "clock.h"
#include "config_settings.h"
#include "metrics.h"
#include "pipe_intake.h"

#include <bfr/queue.h> // struct bfr_recent

struct bfr_dedup;
struct bfr_claim;

struct bfr_dedup_setup {
    const struct bfr_clock *clock;
    uint32_t level; // enum bfr_ack_level: what waiters wait for
    uint64_t window_ms;
    uint32_t max_entries;          // final ones beyond it are forgotten, oldest first
    struct bfr_series *duplicates; // counts; may be NULL
};

// What claiming led to. Zero is never valid.
enum bfr_claimed {
    BFR_CLAIMED_NEW = 1,  // the caller puts the batch and then calls accept or fail, exactly once
    BFR_CLAIMED_KNOWN,    // the waiter has been answered, or waits for the first: nothing to put
    BFR_CLAIMED_NO_MEMORY // the waiter has not been answered
};

struct bfr_dedup *bfr_dedup_new(const struct bfr_dedup_setup *setup); // NULL when memory is short
void bfr_dedup_free(struct bfr_dedup *dedup);
// Other limits from now on; what is beyond them is forgotten as claims come and go. [any]
void bfr_dedup_limit(struct bfr_dedup *dedup, uint64_t window_ms, uint32_t max_entries);

// Claim the key of a complete batch; `waiter` becomes the claim's in the cases NEW and KNOWN. [loop]
uint32_t bfr_dedup_claim(struct bfr_dedup *dedup, const struct bfr_batch *batch, struct bfr_waiter *waiter,
                         struct bfr_claim **out);
// The batch is accepted and has reached `level`: answers who waited for it. The claim is no longer the caller's. [any]
void bfr_dedup_accept(struct bfr_dedup *dedup, struct bfr_claim *claim, uint32_t level);
// Not accepted: gives the key back and answers everybody who waited. `text` is static. [any]
void bfr_dedup_fail(struct bfr_dedup *dedup, struct bfr_claim *claim, uint32_t answer, const char *text);

// An accepted batch has reached `level`; of a batch that is not known (any more) nothing is said. [pump]
void bfr_dedup_reach(struct bfr_dedup *dedup, const struct bfr_batch *batch, uint32_t level);
// A consumer buried it (`reason`); `settled`: all are done, so it is a dead letter now. [pump]
void bfr_dedup_bury(struct bfr_dedup *dedup, const struct bfr_batch *batch, uint32_t reason, bool settled);
// Purged: the key is free, who still waits is answered BUSY. [any]
void bfr_dedup_forget(struct bfr_dedup *dedup, const char *tenant, const char *dataset, const char *filename);

// A dead letter is offered to its sinks again: who repeats it waits for them again, if that is the level. [any]
void bfr_dedup_reopen(struct bfr_dedup *dedup, const char *tenant, const char *dataset, const char *filename);

// See bfr_intake_abandon. [loop]
bool bfr_dedup_abandon(struct bfr_dedup *dedup, struct bfr_waiter *waiter);
// Answer all who still wait; the pipeline has stopped. [main]
void bfr_dedup_dismiss(struct bfr_dedup *dedup, uint32_t answer, const char *text);

// A key that a queue knew at start, oldest first. `level`: what it has reached if it is held, or the sink level. Told twice
// with the same bytes, the one that has got less far counts. False when memory is short. [main]
bool bfr_dedup_remember(struct bfr_dedup *dedup, const struct bfr_recent *recent, uint32_t level, bool buried);
// A key that a queue met while the pipeline runs. What is known under it stays as it is. True: the same bytes have reached
// at least `level` under it, so that this batch is one too many. [any]
bool bfr_dedup_meet(struct bfr_dedup *dedup, const struct bfr_recent *recent, uint32_t level, bool buried);
// As forget, but only if the key is this very batch's. [any]
void bfr_dedup_release(struct bfr_dedup *dedup, const struct bfr_recent *recent);

// For tests and figures: keys known now. [any]
size_t bfr_dedup_count(struct bfr_dedup *dedup);

#endif
