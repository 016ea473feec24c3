// SPDX-License-Identifier: Apache-2.0
// The counter behind memory.budget. Whoever finds it used up waits on its own loop; giving back wakes all loops, which try
// again in the order in which their requests began to wait.
#include "http_budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bug.h"

#define SMALL_BYTES UINT64_C(65536) // a rest of no more may overtake: it is gone soon

struct bfr_budget {
    _Atomic uint64_t used;
    _Atomic uint64_t held; // of that, what stages have by themselves
    uint64_t reserve;      // what that may come to
    uint64_t limit;
    _Atomic uint64_t mark;
    struct bfr_blocks *blocks;
    atomic_uint holders;
    atomic_int queued;
    atomic_bool starving; // somebody failed to take since the last wake
    pthread_mutex_t lock; // of the two below; taken only when somebody starved
    void (*wake)(void *arg);
    void *arg;
};

struct bfr_budget *bfr_budget_new(uint64_t limit, uint64_t largest, void (*wake)(void *arg), void *arg)
{
    struct bfr_budget *budget = calloc(1, sizeof *budget);
    struct bfr_blocks *blocks = bfr_blocks_new(limit);
    if (budget == NULL || blocks == NULL) {
        bfr_blocks_free(blocks);
        free(budget);
        return NULL;
    }
    budget->blocks = blocks;
    budget->limit = limit;
    bfr_budget_largest(budget, largest);
    atomic_init(&budget->holders, 1);
    pthread_mutex_init(&budget->lock, NULL);
    budget->wake = wake;
    budget->arg = arg;
    return budget;
}

void bfr_budget_attach(struct bfr_budget *budget, void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&budget->lock);
    budget->wake = wake;
    budget->arg = arg;
    pthread_mutex_unlock(&budget->lock);
}

void bfr_budget_largest(struct bfr_budget *budget, uint64_t largest)
{
    atomic_store(&budget->mark, largest < budget->limit ? budget->limit - largest : 0);
}

void bfr_budget_retain(struct bfr_budget *budget)
{
    atomic_fetch_add_explicit(&budget->holders, 1, memory_order_relaxed);
}

void bfr_budget_release(struct bfr_budget *budget)
{
    if (budget == NULL || atomic_fetch_sub_explicit(&budget->holders, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&budget->lock);
    bfr_blocks_free(budget->blocks);
    free(budget);
}

void bfr_budget_reserve(struct bfr_budget *budget, uint64_t bytes)
{
    budget->reserve = bytes;
}

// Never so much that the largest body would not fit beside it.
static uint64_t kept_free(const struct bfr_budget *budget, uint64_t mark)
{
    uint64_t held = atomic_load_explicit(&budget->held, memory_order_relaxed);
    if (held == 0 || held >= budget->reserve)
        return 0;
    uint64_t rest = budget->reserve - held;
    return rest < mark ? rest : mark;
}

// What may be taken when `used` is in use.
static uint64_t grant(const struct bfr_budget *budget, struct bfr_want want, uint64_t used)
{
    uint64_t mark = atomic_load_explicit(&budget->mark, memory_order_relaxed), kept = kept_free(budget, mark);
    if (used + want.step <= mark - kept)
        return want.step;
    if (used + want.rest > budget->limit - kept)
        return 0;
    bool overtakes = !want.waited && want.rest > SMALL_BYTES && atomic_load(&budget->queued) > 0;
    return overtakes ? 0 : want.rest;
}

static uint64_t try_take(struct bfr_budget *budget, struct bfr_want want)
{
    uint64_t used = atomic_load(&budget->used);
    uint64_t bytes;
    do
        bytes = grant(budget, want, used);
    while (bytes > 0 && !atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
    return bytes;
}

uint64_t bfr_budget_take(struct bfr_budget *budget, struct bfr_want want)
{
    uint64_t bytes = try_take(budget, want);
    if (bytes > 0)
        return bytes;
    // Room given back between the failure and the mark would wake nobody: hence the second try.
    atomic_store(&budget->starving, true);
    return try_take(budget, want);
}

void bfr_budget_force(struct bfr_budget *budget, uint64_t bytes)
{
    atomic_fetch_add(&budget->used, bytes);
}

void bfr_budget_hold(struct bfr_budget *budget, uint64_t bytes)
{
    atomic_fetch_add(&budget->held, bytes);
    bfr_budget_force(budget, bytes);
    bfr_blocks_beside(budget->blocks, (int64_t)bytes);
}

void bfr_budget_let_go(struct bfr_budget *budget, uint64_t bytes)
{
    bfr_blocks_beside(budget->blocks, -(int64_t)bytes);
    bfr_must(atomic_fetch_sub(&budget->held, bytes) >= bytes);
    bfr_budget_give(budget, bytes);
}

bool bfr_budget_has(struct bfr_budget *budget, struct bfr_want want)
{
    if (grant(budget, want, atomic_load(&budget->used)) > 0)
        return true;
    atomic_store(&budget->starving, true);
    return grant(budget, want, atomic_load(&budget->used)) > 0;
}

void bfr_budget_queue(struct bfr_budget *budget, int change)
{
    bfr_must(atomic_fetch_add(&budget->queued, change) + change >= 0);
}

void bfr_budget_give(struct bfr_budget *budget, uint64_t bytes)
{
    if (bytes == 0)
        return;
    uint64_t before = atomic_fetch_sub(&budget->used, bytes);
    bfr_must(before >= bytes);
    if (!atomic_load(&budget->starving) || !atomic_exchange(&budget->starving, false))
        return;
    pthread_mutex_lock(&budget->lock);
    if (budget->wake != NULL)
        budget->wake(budget->arg);
    pthread_mutex_unlock(&budget->lock);
}

uint64_t bfr_budget_used(const struct bfr_budget *budget)
{
    return atomic_load(&budget->used);
}

uint64_t bfr_budget_limit(const struct bfr_budget *budget)
{
    return budget->limit;
}

struct bfr_blocks *bfr_budget_blocks(const struct bfr_budget *budget)
{
    return budget->blocks;
}

void bfr_budget_mute(struct bfr_budget *budget)
{
    pthread_mutex_lock(&budget->lock);
    budget->wake = NULL;
    pthread_mutex_unlock(&budget->lock);
}
