// SPDX-License-Identifier: Apache-2.0
// memory.budget: every body byte in RAM, from the head that announced it until the last holder of its batch lets go.
// One counter for all loops, lock-free. Bodies outlive the server in queues, so the budget counts its users.
#ifndef BFR_CORE_HTTP_BUDGET_H
#define BFR_CORE_HTTP_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_budget;

// One reference. `wake` is called when room came back that somebody had waited for. [any]
struct bfr_budget *bfr_budget_new(uint64_t limit, void (*wake)(void *arg), void *arg);
void bfr_budget_retain(struct bfr_budget *budget);
void bfr_budget_release(struct bfr_budget *budget); // NULL is allowed

// All or nothing. A failure is remembered: the next give calls `wake`. [any]
bool bfr_budget_take(struct bfr_budget *budget, uint64_t bytes);
void bfr_budget_give(struct bfr_budget *budget, uint64_t bytes);
uint64_t bfr_budget_used(const struct bfr_budget *budget);

// From now on `wake` is not called. Before the waker's memory goes.
void bfr_budget_mute(struct bfr_budget *budget);

#endif
