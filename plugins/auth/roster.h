// SPDX-License-Identifier: Apache-2.0
// Who may send what: tenants with their datasets and token hashes. Filled on the main thread, then immutable and read by
// any thread without a lock (live.h). Never sees a token, only SHA-256 hashes, and wipes those when it goes.
#ifndef BFR_AUTH_ROSTER_H
#define BFR_AUTH_ROSTER_H

#include "index.h"
#include "live.h"

#include <bfr/batch.h>

#define ROSTER_HASH_SIZE  32
#define ROSTER_TOKENS_MAX 64 // of one tenant: every check compares with that many at most

struct roster_token {
    uint8_t hash[ROSTER_HASH_SIZE];
};

struct roster_tenant {
    char account[BFR_ID_MAX + 1]; // may be empty
    char tenant[BFR_ID_MAX + 1];
    bool all_datasets;
    uint32_t token_count;
    struct roster_token *tokens;
};

struct roster_dataset {
    uint32_t tenant; // index in tenants
    char name[BFR_ID_MAX + 1];
};

struct roster {
    struct live_item live;
    struct roster_tenant *tenants;
    uint32_t tenant_count;
    struct roster_dataset *datasets;
    uint32_t dataset_count;
    uint32_t most_tokens;  // of any tenant
    struct index by_name;  // -> tenants
    struct index by_set;   // -> datasets
    struct index by_token; // -> tenants
};

struct roster *bfr_roster_new(void); // NULL when memory is short
void bfr_roster_free(struct roster *roster);

// Filling; all say false when memory is short. The tenant to which datasets and tokens are added is the last one.
bool bfr_roster_add_tenant(struct roster *roster, const char *account, const char *name);
bool bfr_roster_add_dataset(struct roster *roster, const char *name);
bool bfr_roster_add_token(struct roster *roster, const uint8_t hash[ROSTER_HASH_SIZE]);

// Asking. NULL: no such tenant.
const struct roster_tenant *bfr_roster_find(const struct roster *roster, const char *name);
bool bfr_roster_has_dataset(const struct roster *roster, const struct roster_tenant *tenant, const char *name);
// Is it one of this tenant's tokens? The same work and time for every tenant, also for none (NULL).
bool bfr_roster_owns_token(const struct roster *roster, const struct roster_tenant *tenant,
                           const uint8_t hash[ROSTER_HASH_SIZE]);
// Is it anybody's token?
bool bfr_roster_knows_token(const struct roster *roster, const uint8_t hash[ROSTER_HASH_SIZE]);

#endif
