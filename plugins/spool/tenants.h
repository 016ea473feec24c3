// SPDX-License-Identifier: Apache-2.0
// The tenants that have batches in a queue: a hash table by name, an entry for as long as it is used. Each entry has one
// lane per consumer. Guarded by the queue's mutex.
#ifndef BFR_SPOOL_TENANTS_H
#define BFR_SPOOL_TENANTS_H

#include "fair.h"

struct tenant {
    struct tenant *next; // in its bucket
    uint64_t hash;
    size_t batches; // held and buried; the entry goes with the last
    char *name;
    uint64_t held_bytes; // for queues with shares; 0 elsewhere
    uint64_t reserved_bytes;
    uint64_t listed_round; // the last list that it was put into, and its number there
    uint32_t listed_as;
    struct fair_lane lanes[]; // one per consumer
};

struct tenants {
    struct tenant **buckets; // a power of two of them; NULL before the first tenant
    size_t bucket_count;
    size_t count;
    uint32_t lanes;
};

void bfr_tenants_init(struct tenants *tenants, uint32_t lanes);
// All tenants must have been dropped.
void bfr_tenants_free(struct tenants *tenants);

// The tenant of that name, made if need be, with one batch more. NULL when memory is short.
struct tenant *bfr_tenants_hold(struct tenants *tenants, const char *name);
// One batch less; with the last one the tenant is gone.
void bfr_tenants_drop(struct tenants *tenants, struct tenant *tenant);

#endif
