// SPDX-License-Identifier: Apache-2.0
// Whose turn it is: deficit round robin by bytes over the tenants that have something to lease, and a slower wheel for
// probes that ignores readiness. Knows neither batches nor times. Guarded by the queue's mutex; allocates nothing.
#ifndef BFR_SPOOL_FAIR_H
#define BFR_SPOOL_FAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

// What a tenant may lease in one turn before the next tenant's.
#define FAIR_QUANTUM_BYTES UINT64_C(65536)

// All tenants of one consumer.
struct fair {
    struct list ready_lanes;   // lanes with a ready entry; the first one's turn is now
    struct list waiting_lanes; // lanes with any entry; the least recently probed first
};

// One tenant of one consumer. Must be empty when its memory goes.
struct fair_lane {
    struct list in_ready;
    struct list in_waiting;
    struct list ready;   // entries that may be leased now, oldest first
    struct list waiting; // all entries, the least recently tried first
    uint64_t deficit_bytes;
    bool in_turn; // has had its quantum for this turn
};

// One batch that waits for one consumer: always in lane->waiting, and in lane->ready unless it is put off.
struct fair_entry {
    struct list in_ready;
    struct list in_waiting;
    struct fair_lane *lane;
    uint64_t bytes;
};

void bfr_fair_init(struct fair *fair);
void bfr_fair_lane_init(struct fair_lane *lane);
void bfr_fair_entry_init(struct fair_entry *entry, struct fair_lane *lane, uint64_t bytes);

// A newcomer to the waiting, not ready yet.
void bfr_fair_wait(struct fair *fair, struct fair_entry *entry);
// A waiting entry becomes ready: behind its tenant's others, or, given back untried, before them.
void bfr_fair_ready(struct fair *fair, struct fair_entry *entry, bool first);
// Out of everything.
void bfr_fair_remove(struct fair_entry *entry);

// Take the next ready entry; NULL when there is none or the one whose turn it is has more than max_bytes.
struct fair_entry *bfr_fair_next(struct fair *fair, uint64_t max_bytes);
// Take the entry tried longest ago of the tenant probed longest ago, ready or not; NULL when nothing waits.
struct fair_entry *bfr_fair_probe(struct fair *fair);

#endif
