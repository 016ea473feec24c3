// SPDX-License-Identifier: Apache-2.0
// A table in force: read by the HTTP loops without a lock, replaced by one other thread. A reader never waits; a replaced
// table is freed once no reader can still see it.
#ifndef BFR_AUTH_LIVE_H
#define BFR_AUTH_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>

// First member of whatever is kept here.
struct live_item {
    struct live_item *retired; // live.c's
};

struct live {
    _Atomic(struct live_item *) current;
    atomic_uint readers;       // between enter and leave
    struct live_item *retired; // replaced, perhaps still read; the replacing thread's only
    void (*free_item)(struct live_item *item);
};

void bfr_live_init(struct live *live, void (*free_item)(struct live_item *item));
// No reader is left.
void bfr_live_free(struct live *live);

// The table, valid until leave; NULL before the first replace. [any]
const struct live_item *bfr_live_enter(struct live *live);
void bfr_live_leave(struct live *live);

// Takes over `item`. [one thread]
void bfr_live_replace(struct live *live, struct live_item *item);
// Frees what was replaced, if no reader is there at some moment soon. True: nothing is left to free. [the same thread]
bool bfr_live_sweep(struct live *live);

#endif
