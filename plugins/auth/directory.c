// SPDX-License-Identifier: Apache-2.0
// See directory.h. Texts lie one after the other in one block; ids find their places through indexes of hashes, so a
// question costs the same in a table of ten and of two hundred thousand.
#include "directory.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

struct directory *bfr_directory_new(void)
{
    struct directory *directory = calloc(1, sizeof *directory);

    if (directory == NULL)
        return NULL;
    directory->texts = calloc(1, 64); // offset 0 is the empty text
    if (directory->texts == NULL) {
        free(directory);
        return NULL;
    }
    directory->text_room = 64;
    directory->text_bytes = 1;
    return directory;
}

void bfr_directory_free(struct directory *directory)
{
    if (directory == NULL)
        return;
    free(directory->accounts);
    free(directory->tenants);
    free(directory->datasets);
    free(directory->texts);
    bfr_index_free(&directory->by_account);
    bfr_index_free(&directory->by_tenant);
    bfr_index_free(&directory->by_dataset);
    bfr_index_free(&directory->by_token);
    free(directory);
}

void bfr_directory_free_item(struct live_item *item)
{
    bfr_directory_free((struct directory *)item);
}

// ---- filling ----

// Room for one more; NULL when memory is short, the old array stays valid.
static void *room_for_one(void *array, uint32_t count, uint32_t *room, size_t element_size)
{
    if (count < *room)
        return array;
    if (count >= UINT32_MAX / 4)
        return NULL;
    uint32_t more = *room == 0 ? 64 : *room * 2;
    void *grown = realloc(array, more * element_size);
    if (grown != NULL)
        *room = more;
    return grown;
}

static bool is_at(const struct directory *directory, uint32_t text, const char *value)
{
    return strcmp(directory->texts + text, value) == 0;
}

// At most `most` bytes, cut between characters. DIRECTORY_NONE when memory is short.
static uint32_t add_text(struct directory *directory, const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);

    if (length > most)
        for (length = most; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80; length--)
            ;
    if (length == 0)
        return 0;
    while (directory->text_bytes + length + 1 > directory->text_room) {
        if (directory->text_room > UINT32_MAX / 4)
            return DIRECTORY_NONE;
        char *texts = realloc(directory->texts, (size_t)directory->text_room * 2);
        if (texts == NULL)
            return DIRECTORY_NONE;
        directory->texts = texts;
        directory->text_room *= 2;
    }
    uint32_t at = directory->text_bytes;
    memcpy(directory->texts + at, text, length);
    directory->texts[at + length] = '\0';
    directory->text_bytes += (uint32_t)length + 1;
    return at;
}

static uint32_t add_name(struct directory *directory, const char *name, uint32_t id)
{
    if (name[0] == '\0' || is_at(directory, id, name))
        return id;
    return add_text(directory, name, DIRECTORY_NAME_MAX);
}

uint32_t bfr_directory_add_account(struct directory *directory, const struct account_record *record)
{
    uint32_t number = bfr_directory_account(directory, record->id);

    if (number != DIRECTORY_NONE) {
        directory->accounts[number].active = record->active;
        return number;
    }
    struct directory_account *accounts =
        room_for_one(directory->accounts, directory->account_count, &directory->account_room, sizeof *accounts);
    if (accounts == NULL)
        return DIRECTORY_NONE;
    directory->accounts = accounts;
    uint32_t id = add_text(directory, record->id, BFR_ID_MAX);
    number = directory->account_count;
    if (id == DIRECTORY_NONE || !bfr_index_add(&directory->by_account, bfr_index_hash(0, record->id), number))
        return DIRECTORY_NONE;
    accounts[number] = (struct directory_account){.id = id, .active = record->active};
    directory->account_count++;
    return number;
}

// A SHA-256 is as good a hash as any.
static uint64_t token_key(const uint8_t hash[DIRECTORY_HASH_SIZE])
{
    uint64_t key;
    memcpy(&key, hash, sizeof key);
    return key;
}

static bool fill_tenant(struct directory *directory, uint32_t number, uint32_t account,
                        const struct tenant_record *record)
{
    struct directory_tenant *tenant = &directory->tenants[number];
    uint32_t name = add_name(directory, record->name, tenant->id);

    if (name == DIRECTORY_NONE)
        return false;
    directory->active_tenants += (uint32_t)record->active - (uint32_t)tenant->active;
    tenant->name = name;
    tenant->account = account;
    tenant->active = record->active;
    tenant->has_token = record->has_token;
    memcpy(tenant->token, record->token, sizeof tenant->token);
    // One entry makes a token known; thousands of tenants may share one.
    return !record->has_token || bfr_directory_knows_token(directory, record->token) ||
           bfr_index_add(&directory->by_token, token_key(record->token), number);
}

uint32_t bfr_directory_add_tenant(struct directory *directory, uint32_t account, const struct tenant_record *record)
{
    uint32_t number = bfr_directory_tenant(directory, record->id);

    if (number != DIRECTORY_NONE)
        return fill_tenant(directory, number, account, record) ? number : DIRECTORY_NONE;
    struct directory_tenant *tenants =
        room_for_one(directory->tenants, directory->tenant_count, &directory->tenant_room, sizeof *tenants);
    if (tenants == NULL)
        return DIRECTORY_NONE;
    directory->tenants = tenants;
    uint32_t id = add_text(directory, record->id, BFR_ID_MAX);
    number = directory->tenant_count;
    if (id == DIRECTORY_NONE || !bfr_index_add(&directory->by_tenant, bfr_index_hash(0, record->id), number))
        return DIRECTORY_NONE;
    tenants[number] = (struct directory_tenant){.id = id, .first = DIRECTORY_NONE};
    directory->tenant_count++;
    return fill_tenant(directory, number, account, record) ? number : DIRECTORY_NONE;
}

// Most datasets have one of a few hints, and neighbours the same.
static uint32_t add_hint(struct directory *directory, const char *hint)
{
    if (!is_at(directory, directory->last_hint, hint))
        directory->last_hint = add_text(directory, hint, DIRECTORY_NAME_MAX);
    uint32_t at = directory->last_hint;
    if (at == DIRECTORY_NONE)
        directory->last_hint = 0;
    return at;
}

uint32_t bfr_directory_add_dataset(struct directory *directory, uint32_t tenant, const struct dataset_record *record)
{
    uint32_t number = bfr_directory_dataset(directory, tenant, record->id);

    if (number != DIRECTORY_NONE)
        return number;
    struct directory_dataset *datasets =
        room_for_one(directory->datasets, directory->dataset_count, &directory->dataset_room, sizeof *datasets);
    if (datasets == NULL)
        return DIRECTORY_NONE;
    directory->datasets = datasets;
    uint32_t id = add_text(directory, record->id, BFR_ID_MAX);
    uint32_t name = id == DIRECTORY_NONE ? id : add_name(directory, record->name, id);
    uint32_t hint = add_hint(directory, record->hint);
    number = directory->dataset_count;
    if (id == DIRECTORY_NONE || name == DIRECTORY_NONE || hint == DIRECTORY_NONE ||
        !bfr_index_add(&directory->by_dataset, bfr_index_hash(tenant + 1, record->id), number))
        return DIRECTORY_NONE;
    struct directory_tenant *owner = &directory->tenants[tenant];
    datasets[number] = (struct directory_dataset){
        .id = id, .name = name, .hint = hint, .tenant = tenant, .next = owner->first, .active = record->active};
    owner->first = number;
    directory->dataset_count++;
    directory->active_datasets += record->active;
    return number;
}

bool bfr_directory_copy_datasets(struct directory *directory, uint32_t tenant, const struct directory *from,
                                 uint32_t from_tenant)
{
    const struct directory_tenant *source = &from->tenants[from_tenant];

    for (uint32_t at = source->first; at != DIRECTORY_NONE; at = from->datasets[at].next) {
        const struct directory_dataset *old = &from->datasets[at];
        struct dataset_record record = {from->texts + old->id, from->texts + old->name, from->texts + old->hint,
                                        old->active};
        uint32_t number = bfr_directory_add_dataset(directory, tenant, &record);
        if (number == DIRECTORY_NONE)
            return false;
        directory->datasets[number].listed = old->listed;
    }
    directory->tenants[tenant].whole = source->whole;
    directory->tenants[tenant].sets_asked_ns = source->sets_asked_ns;
    return true;
}

static void shrink(void *array_at, size_t bytes)
{
    void **array = array_at;
    void *smaller = bytes == 0 ? NULL : realloc(*array, bytes);

    if (smaller != NULL)
        *array = smaller;
}

void bfr_directory_trim(struct directory *directory)
{
    shrink(&directory->accounts, directory->account_count * sizeof *directory->accounts);
    shrink(&directory->tenants, directory->tenant_count * sizeof *directory->tenants);
    shrink(&directory->datasets, directory->dataset_count * sizeof *directory->datasets);
    shrink(&directory->texts, directory->text_bytes);
    directory->account_room = directory->account_count;
    directory->tenant_room = directory->tenant_count;
    directory->dataset_room = directory->dataset_count;
    directory->text_room = directory->text_bytes;
}

// ---- asking ----

uint32_t bfr_directory_account(const struct directory *directory, const char *id)
{
    size_t cursor = 0;
    uint32_t number;

    while (bfr_index_next(&directory->by_account, bfr_index_hash(0, id), &cursor, &number))
        if (is_at(directory, directory->accounts[number].id, id))
            return number;
    return DIRECTORY_NONE;
}

uint32_t bfr_directory_tenant(const struct directory *directory, const char *id)
{
    size_t cursor = 0;
    uint32_t number;

    while (bfr_index_next(&directory->by_tenant, bfr_index_hash(0, id), &cursor, &number))
        if (is_at(directory, directory->tenants[number].id, id))
            return number;
    return DIRECTORY_NONE;
}

uint32_t bfr_directory_dataset(const struct directory *directory, uint32_t tenant, const char *id)
{
    size_t cursor = 0;
    uint32_t number;

    while (bfr_index_next(&directory->by_dataset, bfr_index_hash(tenant + 1, id), &cursor, &number))
        if (directory->datasets[number].tenant == tenant && is_at(directory, directory->datasets[number].id, id))
            return number;
    return DIRECTORY_NONE;
}

const char *bfr_directory_text(const struct directory *directory, uint32_t text)
{
    return directory->texts + text;
}

// The index picks by the first bytes of a hash, at which nobody can aim; the rest is compared in constant time.
bool bfr_directory_knows_token(const struct directory *directory, const uint8_t hash[DIRECTORY_HASH_SIZE])
{
    size_t cursor = 0;
    uint32_t number;
    bool found = false;

    while (bfr_index_next(&directory->by_token, token_key(hash), &cursor, &number))
        found |= CRYPTO_memcmp(directory->tenants[number].token, hash, DIRECTORY_HASH_SIZE) == 0;
    return found;
}

static uint64_t index_bytes(const struct index *index)
{
    return index->slot_count * sizeof *index->slots;
}

uint64_t bfr_directory_bytes(const struct directory *directory)
{
    return sizeof *directory + (uint64_t)directory->account_room * sizeof *directory->accounts +
           (uint64_t)directory->tenant_room * sizeof *directory->tenants +
           (uint64_t)directory->dataset_room * sizeof *directory->datasets + directory->text_room +
           index_bytes(&directory->by_account) + index_bytes(&directory->by_tenant) +
           index_bytes(&directory->by_dataset) + index_bytes(&directory->by_token);
}
