// SPDX-License-Identifier: Apache-2.0
// The list of records found in a segment: growing it, its tables of tenants and consumer sets. Owned by one thread.
#include "segment_load.h"

#include <stdlib.h>
#include <string.h>

// Room for one more element of `size` bytes; capacity doubles, so it can be told from the count.
static void *grow(void *list, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0 && count != 0)
        return list;
    size_t capacity = count == 0 ? 1 : 2 * count;
    return reallocarray(list, capacity, size);
}

// FNV-1a: names of tenants were checked by whoever accepted them; a crowd that collides costs time at a start, no more.
static size_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

// Where `tenant` is or would be. A slot holds its number plus one; 0: free.
static uint32_t *find_slot(const struct found *found, const char *tenant)
{
    size_t at = hash_name(tenant) & (found->slot_room - 1);
    while (found->slots[at] != 0 && strcmp(found->tenants[found->slots[at] - 1], tenant) != 0)
        at = (at + 1) & (found->slot_room - 1);
    return &found->slots[at];
}

// The table is made of the list: at most half full, so twice as large each time.
static bool make_slots(struct found *found)
{
    size_t room = found->slot_room == 0 ? 64 : 2 * found->slot_room;
    while (room <= 2 * found->tenant_count)
        room *= 2;
    uint32_t *slots = calloc(room, sizeof *slots);
    if (slots == NULL)
        return false;
    free(found->slots);
    found->slots = slots;
    found->slot_room = room;
    for (size_t i = 0; i < found->tenant_count; i++)
        *find_slot(found, found->tenants[i]) = (uint32_t)i + 1;
    found->slot_count = found->tenant_count;
    return true;
}

bool bfr_found_tenant(struct found *found, const char *tenant, uint32_t *out)
{
    // Those of bfr_found_tenant_new are not in the table yet.
    if ((2 * found->tenant_count >= found->slot_room || found->slot_count != found->tenant_count) && !make_slots(found))
        return false;
    uint32_t *slot = find_slot(found, tenant);
    if (*slot != 0) {
        *out = *slot - 1;
        return true;
    }
    if (!bfr_found_tenant_new(found, tenant, out))
        return false;
    *slot = *out + 1;
    found->slot_count++;
    return true;
}

bool bfr_found_tenant_new(struct found *found, const char *tenant, uint32_t *out)
{
    char **tenants = grow(found->tenants, found->tenant_count, sizeof *tenants);
    if (tenants == NULL)
        return false;
    found->tenants = tenants;
    char *copy = strdup(tenant);
    if (copy == NULL)
        return false;
    *out = (uint32_t)found->tenant_count;
    found->tenants[found->tenant_count++] = copy;
    return true;
}

static bool same_set(const struct found_set *set, const char *const *names, uint32_t count)
{
    if (set->count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(set->names[i], names[i]) != 0)
            return false;
    return true;
}

static void free_set(struct found_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        free((char *)(uintptr_t)set->names[i]);
    set->count = 0;
}

static bool copy_set(struct found_set *set, const char *const *names, uint32_t count)
{
    set->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        char *copy = strdup(names[i]);
        if (copy == NULL) {
            free_set(set);
            return false;
        }
        set->names[set->count++] = copy;
    }
    return true;
}

bool bfr_found_set(struct found *found, const char *const *names, uint32_t count, uint32_t *out)
{
    for (size_t i = found->set_count; i > 0; i--) {
        if (same_set(&found->sets[i - 1], names, count)) {
            *out = (uint32_t)(i - 1);
            return true;
        }
    }
    struct found_set *sets = grow(found->sets, found->set_count, sizeof *sets);
    if (sets == NULL)
        return false;
    found->sets = sets;
    if (count > RECORD_CONSUMERS_MAX || !copy_set(&sets[found->set_count], names, count))
        return false;
    *out = (uint32_t)found->set_count++;
    return true;
}

bool bfr_found_add(struct found *found, const struct found_record *record)
{
    struct found_record *records = grow(found->records, found->count, sizeof *records);
    if (records == NULL)
        return false;
    found->records = records;
    records[found->count++] = *record;
    return true;
}

void bfr_found_free(struct found *found)
{
    for (size_t i = 0; i < found->tenant_count; i++)
        free(found->tenants[i]);
    for (size_t i = 0; i < found->set_count; i++)
        free_set(&found->sets[i]);
    free(found->tenants);
    free(found->slots);
    free(found->sets);
    free(found->records);
    *found = (struct found){.count = 0};
}
