// SPDX-License-Identifier: Apache-2.0
// See keys.h.
#include "keys.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

static bool make_room(struct keys *keys)
{
    uint32_t room = keys->room == 0 ? FIRST_ROOM : 2 * keys->room;

    if (keys->count < keys->room)
        return true;
    struct key_record *items = realloc(keys->items, room * sizeof *items);
    if (items == NULL)
        return false;
    keys->items = items;
    keys->room = room;
    return true;
}

void bfr_keys_add(struct keys *keys, const char *tenant, const uint8_t *key)
{
    if (keys->count >= KEYS_MAX)
        return;
    if (!make_room(keys)) {
        keys->no_memory = true;
        return;
    }
    struct key_record *record = &keys->items[keys->count++];
    memset(record, 0, sizeof *record);
    memcpy(record->tenant, tenant, strnlen(tenant, BFR_ID_MAX));
    memcpy(record->key, key, sizeof record->key);
}

static int compare(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct key_record)); // bytes alone, no padding
}

void bfr_keys_sort(struct keys *keys)
{
    if (keys->count > 1)
        qsort(keys->items, keys->count, sizeof *keys->items, compare);
}

void bfr_keys_free(struct keys *keys)
{
    free(keys->items);
    memset(keys, 0, sizeof *keys);
}
