// SPDX-License-Identifier: Apache-2.0
// The tables of roster.h. Comparisons of token hashes take a time that depends on the roster, never on the tenant asked
// for nor on how much of a hash agrees.
#include "roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

struct roster *bfr_roster_new(void)
{
    return calloc(1, sizeof(struct roster));
}

void bfr_roster_free(struct roster *roster)
{
    if (roster == NULL)
        return;
    for (uint32_t i = 0; i < roster->tenant_count; i++) {
        struct roster_tenant *tenant = &roster->tenants[i];
        if (tenant->tokens != NULL)
            OPENSSL_cleanse(tenant->tokens, tenant->token_count * sizeof *tenant->tokens);
        free(tenant->tokens);
    }
    free(roster->tenants);
    free(roster->datasets);
    bfr_index_free(&roster->by_name);
    bfr_index_free(&roster->by_set);
    if (roster->by_token.slots != NULL) // its keys are parts of hashes
        OPENSSL_cleanse(roster->by_token.slots, roster->by_token.slot_count * sizeof *roster->by_token.slots);
    bfr_index_free(&roster->by_token);
    free(roster);
}

// Room for one more element at powers of two; NULL when memory is short, the old array stays valid.
static void *room_for_one(void *array, uint32_t count, size_t element_size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    return realloc(array, (count == 0 ? 1 : (size_t)count * 2) * element_size);
}

bool bfr_roster_add_tenant(struct roster *roster, const char *account, const char *name)
{
    struct roster_tenant *tenants = room_for_one(roster->tenants, roster->tenant_count, sizeof *tenants);

    if (tenants == NULL)
        return false;
    roster->tenants = tenants;
    if (!bfr_index_add(&roster->by_name, bfr_index_hash(0, name), roster->tenant_count))
        return false;
    struct roster_tenant *tenant = &tenants[roster->tenant_count++];
    memset(tenant, 0, sizeof *tenant);
    snprintf(tenant->account, sizeof tenant->account, "%s", account);
    snprintf(tenant->tenant, sizeof tenant->tenant, "%s", name);
    return true;
}

bool bfr_roster_add_dataset(struct roster *roster, const char *name)
{
    uint32_t tenant = roster->tenant_count - 1;
    struct roster_dataset *datasets = room_for_one(roster->datasets, roster->dataset_count, sizeof *datasets);

    if (datasets == NULL)
        return false;
    roster->datasets = datasets;
    if (!bfr_index_add(&roster->by_set, bfr_index_hash(tenant + 1, name), roster->dataset_count))
        return false;
    struct roster_dataset *dataset = &datasets[roster->dataset_count++];
    dataset->tenant = tenant;
    snprintf(dataset->name, sizeof dataset->name, "%s", name);
    return true;
}

// A SHA-256 is as good a hash as any.
static uint64_t token_key(const uint8_t hash[ROSTER_HASH_SIZE])
{
    uint64_t key;
    memcpy(&key, hash, sizeof key);
    return key;
}

// Grown by hand, not with realloc: that would leave copies of hashes behind.
static struct roster_token *more_tokens(struct roster_tenant *tenant)
{
    struct roster_token *tokens = calloc(tenant->token_count + 1, sizeof *tokens);

    if (tokens == NULL || tenant->tokens == NULL)
        return tokens;
    memcpy(tokens, tenant->tokens, tenant->token_count * sizeof *tokens);
    OPENSSL_cleanse(tenant->tokens, tenant->token_count * sizeof *tokens);
    free(tenant->tokens);
    return tokens;
}

bool bfr_roster_add_token(struct roster *roster, const uint8_t hash[ROSTER_HASH_SIZE])
{
    uint32_t number = roster->tenant_count - 1;
    struct roster_tenant *tenant = &roster->tenants[number];
    struct roster_token *tokens = more_tokens(tenant);

    if (tokens == NULL)
        return false;
    tenant->tokens = tokens;
    memcpy(tokens[tenant->token_count++].hash, hash, ROSTER_HASH_SIZE);
    if (tenant->token_count > roster->most_tokens)
        roster->most_tokens = tenant->token_count;
    // One entry makes it known. One for each of the thousands of tenants that may share a token would make every question a
    // walk over thousands.
    return bfr_roster_knows_token(roster, hash) || bfr_index_add(&roster->by_token, token_key(hash), number);
}

const struct roster_tenant *bfr_roster_find(const struct roster *roster, const char *name)
{
    size_t cursor = 0;
    uint32_t number;

    while (bfr_index_next(&roster->by_name, bfr_index_hash(0, name), &cursor, &number))
        if (strcmp(roster->tenants[number].tenant, name) == 0)
            return &roster->tenants[number];
    return NULL;
}

bool bfr_roster_has_dataset(const struct roster *roster, const struct roster_tenant *tenant, const char *name)
{
    uint32_t owner = (uint32_t)(tenant - roster->tenants);
    size_t cursor = 0;
    uint32_t number;

    if (tenant->all_datasets)
        return true;
    while (bfr_index_next(&roster->by_set, bfr_index_hash(owner + 1, name), &cursor, &number))
        if (roster->datasets[number].tenant == owner && strcmp(roster->datasets[number].name, name) == 0)
            return true;
    return false;
}

// Compared with as many hashes as any tenant has, so that the time says neither whether the tenant exists nor how many
// tokens it has; places that it does not fill are compared with zeros and do not count.
bool bfr_roster_owns_token(const struct roster *roster, const struct roster_tenant *tenant,
                           const uint8_t hash[ROSTER_HASH_SIZE])
{
    static const struct roster_token nobody;
    uint32_t count = tenant == NULL ? 0 : tenant->token_count;
    unsigned found = 0;

    for (uint32_t i = 0; i < roster->most_tokens; i++) {
        const struct roster_token *token = i < count ? &tenant->tokens[i] : &nobody;
        unsigned equal = CRYPTO_memcmp(token->hash, hash, ROSTER_HASH_SIZE) == 0;
        found |= equal & (unsigned)(i < count);
    }
    return found != 0;
}

// The index picks by the first bytes of the hash, whose timing tells nothing: nobody can aim at a hash. The rest is
// compared in constant time.
bool bfr_roster_knows_token(const struct roster *roster, const uint8_t hash[ROSTER_HASH_SIZE])
{
    size_t cursor = 0;
    uint32_t number;
    bool found = false;

    while (bfr_index_next(&roster->by_token, token_key(hash), &cursor, &number))
        found |= bfr_roster_owns_token(roster, &roster->tenants[number], hash);
    return found;
}
