// SPDX-License-Identifier: Apache-2.0
// See live.h. All atomics are sequentially consistent, and that is what makes it right: a reader counts itself before it
// loads the pointer, the writer swaps the pointer before it reads the count. So when the writer sees no reader after the
// swap, whoever comes later loads the new pointer.
#include "live.h"

#include <sched.h>

#define YIELDS_MAX 1000

void bfr_live_init(struct live *live, struct roster *roster)
{
    atomic_init(&live->current, roster);
    atomic_init(&live->readers, 0);
    live->retired = NULL;
}

static void free_retired(struct live *live)
{
    while (live->retired != NULL) {
        struct roster *next = live->retired->retired;
        bfr_roster_free(live->retired);
        live->retired = next;
    }
}

void bfr_live_free(struct live *live)
{
    free_retired(live);
    bfr_roster_free(atomic_load(&live->current));
}

const struct roster *bfr_live_enter(struct live *live)
{
    atomic_fetch_add(&live->readers, 1);
    return atomic_load(&live->current);
}

void bfr_live_leave(struct live *live)
{
    atomic_fetch_sub(&live->readers, 1);
}

// Readers stay for microseconds, so a moment without any comes soon. Should it not, the old roster waits for the next
// replacement or the end.
void bfr_live_replace(struct live *live, struct roster *roster)
{
    struct roster *old = atomic_exchange(&live->current, roster);

    if (old != NULL) {
        old->retired = live->retired;
        live->retired = old;
    }
    for (int i = 0; i < YIELDS_MAX; i++) {
        if (atomic_load(&live->readers) == 0) {
            free_retired(live);
            return;
        }
        sched_yield();
    }
}
