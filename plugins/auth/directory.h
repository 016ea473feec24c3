// SPDX-License-Identifier: Apache-2.0
// The directory: accounts, tenants and datasets as the control service told, in one immutable table. Built by one thread,
// then read by any without a lock (live.h). Holds SHA-256 hashes of tokens, never a token.
#ifndef BFR_AUTH_DIRECTORY_H
#define BFR_AUTH_DIRECTORY_H

#include <bfr/auth.h>

#include "index.h"
#include "live.h"

#define DIRECTORY_HASH_SIZE 32
#define DIRECTORY_NONE      UINT32_MAX // no such account, tenant, dataset
#define DIRECTORY_NAME_MAX  128        // bytes kept of a name for people

// Texts are offsets into `texts`.
struct directory_account {
    uint32_t id;
    bool active;
    bool whole; // its list of tenants was got in this refresh and nothing was cut: who is not in it does not exist
};

struct directory_tenant {
    uint32_t id;
    uint32_t name;
    uint32_t account;       // index in accounts
    uint32_t first;         // of its datasets, or DIRECTORY_NONE
    uint64_t sets_asked_ns; // when its datasets were asked for; 0: not by this process
    bool active;
    bool has_token;
    bool whole;  // as of an account, its datasets
    bool listed; // in its account's list, not merely known from a look-up
    uint8_t token[DIRECTORY_HASH_SIZE];
};

struct directory_dataset {
    uint32_t id;
    uint32_t name;
    uint32_t hint;
    uint32_t tenant; // index in tenants
    uint32_t next;   // of the same tenant
    bool active;
    bool listed;
};

struct directory {
    struct live_item live;
    struct directory_account *accounts;
    struct directory_tenant *tenants;
    struct directory_dataset *datasets;
    uint32_t account_count, tenant_count, dataset_count;
    uint32_t account_room, tenant_room, dataset_room;
    uint32_t active_tenants, active_datasets;
    char *texts;
    uint32_t text_bytes, text_room;
    uint32_t last_hint;
    struct index by_account, by_tenant, by_dataset, by_token;
    bool whole;        // all accounts and all their tenants were got, nothing cut
    uint64_t asked_ns; // when the refresh began; 0: from a file
};

// What one answer of the control service says. Texts are the reader's.
struct account_record {
    const char *id;
    bool active;
};

struct tenant_record {
    const char *id;
    const char *account; // may be empty: not told
    const char *name;
    bool active;
    bool has_token;
    uint8_t token[DIRECTORY_HASH_SIZE];
};

struct dataset_record {
    const char *id;
    const char *name;
    const char *hint;
    bool active;
};

struct directory *bfr_directory_new(void); // NULL when memory is short
void bfr_directory_free(struct directory *directory);
void bfr_directory_free_item(struct live_item *item);

// Filling; DIRECTORY_NONE when memory is short. What is there already is replaced (an account, a tenant) or left
// (a dataset).
uint32_t bfr_directory_add_account(struct directory *directory, const struct account_record *record);
uint32_t bfr_directory_add_tenant(struct directory *directory, uint32_t account, const struct tenant_record *record);
uint32_t bfr_directory_add_dataset(struct directory *directory, uint32_t tenant, const struct dataset_record *record);
// All of one tenant's datasets as `from` has them, with their age.
bool bfr_directory_copy_datasets(struct directory *directory, uint32_t tenant, const struct directory *from,
                                 uint32_t from_tenant);
// Give back what filling took too much.
void bfr_directory_trim(struct directory *directory);

// Asking.
uint32_t bfr_directory_account(const struct directory *directory, const char *id);
uint32_t bfr_directory_tenant(const struct directory *directory, const char *id);
uint32_t bfr_directory_dataset(const struct directory *directory, uint32_t tenant, const char *id);
const char *bfr_directory_text(const struct directory *directory, uint32_t text);
// Is it the token of any tenant?
bool bfr_directory_knows_token(const struct directory *directory, const uint8_t hash[DIRECTORY_HASH_SIZE]);
uint64_t bfr_directory_bytes(const struct directory *directory);

#endif
