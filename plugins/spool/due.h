// SPDX-License-Identifier: Apache-2.0
// What waits for a time: a binary min-heap by not-before time, whose entries know their place so that any of them can be
// taken out. Room is made ahead of need, so that putting a batch back never fails. Guarded by the queue's mutex.
#ifndef BFR_SPOOL_DUE_H
#define BFR_SPOOL_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due_entry {
    uint64_t at_ns; // host->monotonic_ns
    size_t place;   // 1 + index in the heap; 0: not in it
};

struct due {
    struct due_entry **heap;
    size_t count;
    size_t capacity;
};

// Make sure that `total` entries fit. False when memory is short; nothing has changed then.
bool bfr_due_reserve(struct due *due, size_t total);
void bfr_due_free(struct due *due);

void bfr_due_push(struct due *due, struct due_entry *entry, uint64_t at_ns);
void bfr_due_remove(struct due *due, struct due_entry *entry);

// The earliest entry, NULL when there is none.
struct due_entry *bfr_due_first(const struct due *due);

static inline bool bfr_due_has(const struct due_entry *entry)
{
    return entry->place != 0;
}

#endif
