// SPDX-License-Identifier: Apache-2.0
// Joins turns and times for one consumer, see backlog.h. An entry is in the heap exactly while it waits and is not ready.
#include "backlog.h"

void bfr_backlog_init(struct backlog *backlog)
{
    bfr_fair_init(&backlog->fair);
    backlog->due = (struct due){0};
}

void bfr_backlog_free(struct backlog *backlog)
{
    bfr_due_free(&backlog->due);
}

bool bfr_backlog_reserve(struct backlog *backlog, size_t total)
{
    return bfr_due_reserve(&backlog->due, total);
}

void bfr_backlog_entry_init(struct backlog_entry *entry, struct fair_lane *lane, uint64_t bytes)
{
    bfr_fair_entry_init(&entry->fair, lane, bytes);
    entry->due = (struct due_entry){0};
}

void bfr_backlog_add(struct backlog *backlog, struct backlog_entry *entry)
{
    bfr_fair_wait(&backlog->fair, &entry->fair);
    bfr_fair_ready(&backlog->fair, &entry->fair, false);
}

void bfr_backlog_give_back(struct backlog *backlog, struct backlog_entry *entry, uint64_t not_before_ns)
{
    bfr_fair_wait(&backlog->fair, &entry->fair);
    if (not_before_ns == 0)
        bfr_fair_ready(&backlog->fair, &entry->fair, true);
    else
        bfr_due_push(&backlog->due, &entry->due, not_before_ns);
}

// Behind its tenant's others: those have waited without having been tried.
void bfr_backlog_wake(struct backlog *backlog, uint64_t now_ns)
{
    struct due_entry *due;

    while ((due = bfr_due_first(&backlog->due)) != NULL && due->at_ns <= now_ns) {
        struct backlog_entry *entry = LIST_OWNER(due, struct backlog_entry, due);
        bfr_due_remove(&backlog->due, due);
        bfr_fair_ready(&backlog->fair, &entry->fair, false);
    }
}

struct backlog_entry *bfr_backlog_take(struct backlog *backlog, uint64_t max_bytes)
{
    struct fair_entry *entry = bfr_fair_next(&backlog->fair, max_bytes);
    return entry == NULL ? NULL : LIST_OWNER(entry, struct backlog_entry, fair);
}

struct backlog_entry *bfr_backlog_probe(struct backlog *backlog)
{
    struct fair_entry *taken = bfr_fair_probe(&backlog->fair);
    if (taken == NULL)
        return NULL;
    struct backlog_entry *entry = LIST_OWNER(taken, struct backlog_entry, fair);
    if (bfr_due_has(&entry->due))
        bfr_due_remove(&backlog->due, &entry->due);
    return entry;
}

void bfr_backlog_remove(struct backlog *backlog, struct backlog_entry *entry)
{
    bfr_fair_remove(&entry->fair);
    if (bfr_due_has(&entry->due))
        bfr_due_remove(&backlog->due, &entry->due);
}

uint64_t bfr_backlog_next_ns(const struct backlog *backlog)
{
    const struct due_entry *first = bfr_due_first(&backlog->due);
    return first == NULL ? UINT64_MAX : first->at_ns;
}
