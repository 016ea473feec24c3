// SPDX-License-Identifier: Apache-2.0
// Linear probing at a load of at most one half, see index.h. Entries are never removed.
#include "index.h"

#include <stdlib.h>

#define FIRST_SLOTS 64

static void insert(struct index *index, uint64_t hash, uint32_t number)
{
    size_t mask = index->slot_count - 1;
    size_t at = (size_t)hash & mask;

    while (index->slots[at].number != 0)
        at = (at + 1) & mask;
    index->slots[at] = (struct index_slot){.hash = hash, .number = number};
    index->used++;
}

static bool grow(struct index *index)
{
    struct index grown = {.slot_count = index->slot_count == 0 ? FIRST_SLOTS : index->slot_count * 2};

    grown.slots = calloc(grown.slot_count, sizeof *grown.slots);
    if (grown.slots == NULL)
        return false;
    for (size_t i = 0; i < index->slot_count; i++)
        if (index->slots[i].number != 0)
            insert(&grown, index->slots[i].hash, index->slots[i].number);
    free(index->slots);
    *index = grown;
    return true;
}

bool bfr_index_add(struct index *index, uint64_t hash, uint32_t number)
{
    if (2 * (index->used + 1) > index->slot_count && !grow(index))
        return false;
    insert(index, hash, number + 1);
    return true;
}

void bfr_index_free(struct index *index)
{
    free(index->slots);
    *index = (struct index){0};
}

bool bfr_index_next(const struct index *index, uint64_t hash, size_t *cursor, uint32_t *out_number)
{
    if (index->slot_count == 0)
        return false;
    size_t mask = index->slot_count - 1;
    for (;;) {
        const struct index_slot *slot = &index->slots[((size_t)hash + (*cursor)++) & mask];
        if (slot->number == 0)
            return false;
        if (slot->hash == hash) {
            *out_number = slot->number - 1;
            return true;
        }
    }
}

// FNV-1a with its bits mixed, because the low ones pick the slot.
uint64_t bfr_index_hash(uint32_t salt, const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ salt;

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    return hash * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 29;
}
