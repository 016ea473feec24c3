// SPDX-License-Identifier: Apache-2.0
// The counter behind memory.budget. Whoever finds it used up waits on its own loop; giving back wakes all loops, which try
// again in the order in which their requests began to wait.
#include "http_budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bug.h"

struct bfr_budget {
    _Atomic uint64_t used;
    uint64_t limit;
    atomic_uint holders;
    atomic_bool starving; // somebody failed to take since the last wake
    pthread_mutex_t lock; // of the two below; taken only when somebody starved
    void (*wake)(void *arg);
    void *arg;
};

struct bfr_budget *bfr_budget_new(uint64_t limit, void (*wake)(void *arg), void *arg)
{
    struct bfr_budget *budget = calloc(1, sizeof *budget);
    if (budget == NULL)
        return NULL;
    budget->limit = limit;
    atomic_init(&budget->holders, 1);
    pthread_mutex_init(&budget->lock, NULL);
    budget->wake = wake;
    budget->arg = arg;
    return budget;
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
    free(budget);
}

static bool try_take(struct bfr_budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_load(&budget->used);
    do {
        if (bytes > budget->limit || used > budget->limit - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
    return true;
}

bool bfr_budget_take(struct bfr_budget *budget, uint64_t bytes)
{
    if (try_take(budget, bytes))
        return true;
    // Room given back between the failure and the mark would wake nobody: hence the second try.
    atomic_store(&budget->starving, true);
    return try_take(budget, bytes);
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

void bfr_budget_mute(struct bfr_budget *budget)
{
    pthread_mutex_lock(&budget->lock);
    budget->wake = NULL;
    pthread_mutex_unlock(&budget->lock);
}
