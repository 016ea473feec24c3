// SPDX-License-Identifier: Apache-2.0
// What waits for one consumer of a queue: ready by turns (fair.h), put off until a time (due.h), or picked as a probe.
// Guarded by the queue's mutex. Only reserve allocates; everything else cannot fail.
#ifndef BFR_SPOOL_BACKLOG_H
#define BFR_SPOOL_BACKLOG_H

#include "due.h"
#include "fair.h"

struct backlog {
    struct fair fair;
    struct due due;
};

// One waiting batch; sits inside what waits.
struct backlog_entry {
    struct fair_entry fair;
    struct due_entry due;
};

void bfr_backlog_init(struct backlog *backlog);
void bfr_backlog_free(struct backlog *backlog);
// Room for `total` entries, waiting or out. False when memory is short.
bool bfr_backlog_reserve(struct backlog *backlog, size_t total);

void bfr_backlog_entry_init(struct backlog_entry *entry, struct fair_lane *lane, uint64_t bytes);

// New to this consumer: ready, behind its tenant's others.
void bfr_backlog_add(struct backlog *backlog, struct backlog_entry *entry);
// Back from a try: ready at once and first (not_before_ns 0), or put off.
void bfr_backlog_give_back(struct backlog *backlog, struct backlog_entry *entry, uint64_t not_before_ns);
// What was put off until now is ready.
void bfr_backlog_wake(struct backlog *backlog, uint64_t now_ns);

// Take one out; NULL when there is none (take: or none within max_bytes).
struct backlog_entry *bfr_backlog_take(struct backlog *backlog, uint64_t max_bytes);
struct backlog_entry *bfr_backlog_probe(struct backlog *backlog);
void bfr_backlog_remove(struct backlog *backlog, struct backlog_entry *entry);

// When the next entry becomes ready by itself; UINT64_MAX: none does.
uint64_t bfr_backlog_next_ns(const struct backlog *backlog);

#endif
