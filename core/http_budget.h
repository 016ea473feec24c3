// SPDX-License-Identifier: Apache-2.0
// memory.budget: every body byte in RAM, from its arrival until the last holder of its batch lets go.
// One counter for all loops, lock-free. Bodies outlive the server in queues, so the budget counts its users.
//
// Bodies that grow in small steps could share the budget out among them until none can be completed. So steps are given
// only below a mark, and above it a body takes the whole rest it may need, or waits. The distance from the mark to the
// limit is what the largest body needs: whatever partial bodies hold, there is room to complete one after the other.
//
// Bodies that are read back for a sink are not asked to wait, or a backlog would stand still behind senders. So while there
// are any, what they may yet come to is kept free of senders.
#ifndef BFR_CORE_HTTP_BUDGET_H
#define BFR_CORE_HTTP_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "http_blocks.h"

struct bfr_budget;

// What a body wants: a step now, or the rest that completes it. `rest` is at least `step`.
struct bfr_want {
    uint64_t step;
    uint64_t rest;
    bool waited; // it is one of those counted by bfr_budget_queue: nobody is before it
};

// One reference. `largest`: what one body may need in all. `wake` is called when room came back that somebody had waited
// for. [any]
struct bfr_budget *bfr_budget_new(uint64_t limit, uint64_t largest, void (*wake)(void *arg), void *arg);
// For one that was made before its waker. Before anybody takes. [main]
void bfr_budget_attach(struct bfr_budget *budget, void (*wake)(void *arg), void *arg);
// What one body may need in all has changed. [any]
void bfr_budget_largest(struct bfr_budget *budget, uint64_t largest);
void bfr_budget_retain(struct bfr_budget *budget);
void bfr_budget_release(struct bfr_budget *budget); // NULL is allowed

// The bytes taken: step, rest, or 0 for neither. A failure is remembered: the next give calls `wake`. [any]
uint64_t bfr_budget_take(struct bfr_budget *budget, struct bfr_want want);
// What is in RAM already is counted, whether it fits or not. Those who come next find less. [any]
void bfr_budget_force(struct bfr_budget *budget, uint64_t bytes);
// The same for what a stage has by itself, until it lets go. [any]
void bfr_budget_hold(struct bfr_budget *budget, uint64_t bytes);
void bfr_budget_let_go(struct bfr_budget *budget, uint64_t bytes);
// So many bytes in all may be held that way; 0 at first. Before anybody takes. [main]
void bfr_budget_reserve(struct bfr_budget *budget, uint64_t bytes);
// Would take succeed now? A failure is remembered. [any]
bool bfr_budget_has(struct bfr_budget *budget, struct bfr_want want);
void bfr_budget_give(struct bfr_budget *budget, uint64_t bytes);
// So many more, or fewer, wait. Those that come later with a large body do not overtake them above the mark. [any]
void bfr_budget_queue(struct bfr_budget *budget, int change);
uint64_t bfr_budget_used(const struct bfr_budget *budget);
uint64_t bfr_budget_limit(const struct bfr_budget *budget);
// What large bodies are kept in. Lives as long as the budget.
struct bfr_blocks *bfr_budget_blocks(const struct bfr_budget *budget);

// From now on `wake` is not called. Before the waker's memory goes.
void bfr_budget_mute(struct bfr_budget *budget);

#endif
