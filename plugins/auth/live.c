// SPDX-License-Identifier: Apache-2.0
// See live.h. All atomics are sequentially consistent, and that is what makes it right: a reader counts itself before it
// loads the pointer, the writer swaps the pointer before it reads the count. So when the writer sees no reader after the
// swap, whoever comes later loads the new pointer.
#include "live.h"

#include <sched.h>
#include <stddef.h>

#define YIELDS_MAX 1000

void bfr_live_init(struct live *live, void (*free_item)(struct live_item *item))
{
    atomic_init(&live->current, NULL);
    atomic_init(&live->readers, 0);
    live->retired = NULL;
    live->free_item = free_item;
}

static void free_retired(struct live *live)
{
    while (live->retired != NULL) {
        struct live_item *next = live->retired->retired;
        live->free_item(live->retired);
        live->retired = next;
    }
}

void bfr_live_free(struct live *live)
{
    struct live_item *current = atomic_exchange(&live->current, NULL);

    free_retired(live);
    if (current != NULL)
        live->free_item(current);
}

const struct live_item *bfr_live_enter(struct live *live)
{
    atomic_fetch_add(&live->readers, 1);
    return atomic_load(&live->current);
}

void bfr_live_leave(struct live *live)
{
    atomic_fetch_sub(&live->readers, 1);
}

// Readers stay for microseconds, so a moment without any comes soon.
bool bfr_live_sweep(struct live *live)
{
    for (int i = 0; live->retired != NULL && i < YIELDS_MAX; i++) {
        if (atomic_load(&live->readers) == 0)
            free_retired(live);
        else
            sched_yield();
    }
    return live->retired == NULL;
}

// Should the moment not come, the old table waits for the next replacement, sweep or the end.
void bfr_live_replace(struct live *live, struct live_item *item)
{
    struct live_item *old = atomic_exchange(&live->current, item);

    if (old != NULL) {
        old->retired = live->retired;
        live->retired = old;
    }
    (void)bfr_live_sweep(live);
}
