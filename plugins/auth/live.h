// SPDX-License-Identifier: Apache-2.0
// The roster in force: read by the HTTP loops without a lock, replaced by the main thread. A reader never waits; a
// replaced roster is freed once no reader can still see it.
#ifndef BFR_AUTH_LIVE_H
#define BFR_AUTH_LIVE_H

#include <stdatomic.h>

#include "roster.h"

struct live {
    _Atomic(struct roster *) current;
    atomic_uint readers;    // between enter and leave
    struct roster *retired; // replaced, perhaps still read; main thread only
};

void bfr_live_init(struct live *live, struct roster *roster);
// No reader is left.
void bfr_live_free(struct live *live);

// The roster, valid until leave. [loop]
const struct roster *bfr_live_enter(struct live *live);
void bfr_live_leave(struct live *live);

// Takes over `roster`. [main]
void bfr_live_replace(struct live *live, struct roster *roster);

#endif
