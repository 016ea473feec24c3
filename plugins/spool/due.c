// SPDX-License-Identifier: Apache-2.0
// The heap of due.h. Owns the array, never the entries. Allocates only in reserve.
#include "due.h"

#include <stdlib.h>

static void place(struct due *due, size_t index, struct due_entry *entry)
{
    due->heap[index] = entry;
    entry->place = index + 1;
}

static void sift_up(struct due *due, size_t index, struct due_entry *entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (due->heap[parent]->at_ns <= entry->at_ns)
            break;
        place(due, index, due->heap[parent]);
        index = parent;
    }
    place(due, index, entry);
}

static void sift_down(struct due *due, size_t index, struct due_entry *entry)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= due->count)
            break;
        if (child + 1 < due->count && due->heap[child + 1]->at_ns < due->heap[child]->at_ns)
            child++;
        if (entry->at_ns <= due->heap[child]->at_ns)
            break;
        place(due, index, due->heap[child]);
        index = child;
    }
    place(due, index, entry);
}

bool bfr_due_reserve(struct due *due, size_t total)
{
    if (total <= due->capacity)
        return true;
    size_t capacity = due->capacity < 64 ? 64 : due->capacity * 2;
    if (capacity < total)
        capacity = total;
    struct due_entry **heap = realloc(due->heap, capacity * sizeof(struct due_entry *));
    if (heap == NULL)
        return false;
    due->heap = heap;
    due->capacity = capacity;
    return true;
}

void bfr_due_free(struct due *due)
{
    free(due->heap);
    *due = (struct due){0};
}

void bfr_due_push(struct due *due, struct due_entry *entry, uint64_t at_ns)
{
    entry->at_ns = at_ns;
    sift_up(due, due->count++, entry);
}

void bfr_due_remove(struct due *due, struct due_entry *entry)
{
    size_t index = entry->place - 1;
    struct due_entry *last = due->heap[--due->count];

    entry->place = 0;
    if (last == entry)
        return;
    // The last entry fills the gap; seen from there it may belong further up or further down.
    if (index > 0 && last->at_ns < due->heap[(index - 1) / 2]->at_ns)
        sift_up(due, index, last);
    else
        sift_down(due, index, last);
}

struct due_entry *bfr_due_first(const struct due *due)
{
    return due->count == 0 ? NULL : due->heap[0];
}
