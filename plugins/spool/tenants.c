// SPDX-License-Identifier: Apache-2.0
// The table of tenants.h: chained, doubled when it is full. Tenant ids are checked before they come here and in most
// setups authorised, so FNV-1a is enough: a sender who may invent ids can lengthen chains, not fill the table.
#include "tenants.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64

static uint64_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

static struct tenant **bucket_of(const struct tenants *tenants, uint64_t hash)
{
    return &tenants->buckets[hash & (tenants->bucket_count - 1)];
}

void bfr_tenants_init(struct tenants *tenants, uint32_t lanes)
{
    *tenants = (struct tenants){.lanes = lanes};
}

void bfr_tenants_free(struct tenants *tenants)
{
    free(tenants->buckets);
    *tenants = (struct tenants){0};
}

// False only when there is no table at all; otherwise a full table just gets longer chains.
static bool make_room(struct tenants *tenants)
{
    if (tenants->count < tenants->bucket_count)
        return true;
    struct tenants grown = *tenants;
    grown.bucket_count = tenants->bucket_count == 0 ? FIRST_BUCKETS : tenants->bucket_count * 2;
    grown.buckets = calloc(grown.bucket_count, sizeof(struct tenant *));
    if (grown.buckets == NULL)
        return tenants->buckets != NULL;
    for (size_t i = 0; i < tenants->bucket_count; i++) {
        struct tenant *tenant = tenants->buckets[i];
        while (tenant != NULL) {
            struct tenant *next = tenant->next;
            struct tenant **bucket = bucket_of(&grown, tenant->hash);
            tenant->next = *bucket;
            *bucket = tenant;
            tenant = next;
        }
    }
    free(tenants->buckets);
    *tenants = grown;
    return true;
}

// One allocation: the struct, its lanes, its name.
static struct tenant *make_tenant(struct tenants *tenants, const char *name, uint64_t hash)
{
    size_t fixed = sizeof(struct tenant) + tenants->lanes * sizeof(struct fair_lane);
    size_t name_size = strlen(name) + 1;
    struct tenant *tenant = calloc(1, fixed + name_size);

    if (tenant == NULL)
        return NULL;
    tenant->hash = hash;
    tenant->name = memcpy((char *)tenant + fixed, name, name_size);
    for (uint32_t i = 0; i < tenants->lanes; i++)
        bfr_fair_lane_init(&tenant->lanes[i]);
    return tenant;
}

struct tenant *bfr_tenants_hold(struct tenants *tenants, const char *name)
{
    uint64_t hash = hash_name(name);
    struct tenant *tenant = NULL;

    if (!make_room(tenants))
        return NULL;
    struct tenant **bucket = bucket_of(tenants, hash);
    for (tenant = *bucket; tenant != NULL; tenant = tenant->next)
        if (tenant->hash == hash && strcmp(tenant->name, name) == 0)
            break;
    if (tenant == NULL) {
        tenant = make_tenant(tenants, name, hash);
        if (tenant == NULL)
            return NULL;
        tenant->next = *bucket;
        *bucket = tenant;
        tenants->count++;
    }
    tenant->batches++;
    return tenant;
}

void bfr_tenants_drop(struct tenants *tenants, struct tenant *tenant)
{
    if (--tenant->batches > 0)
        return;
    struct tenant **link = bucket_of(tenants, tenant->hash);
    while (*link != tenant)
        link = &(*link)->next;
    *link = tenant->next;
    tenants->count--;
    free(tenant);
}
