// SPDX-License-Identifier: Apache-2.0
// For the tests of mode control's parts: a small directory, and what a fact is about.
#ifndef BFR_TEST_CONTROL_FIXTURE_H
#define BFR_TEST_CONTROL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "directory.h"
#include "facts.h"

static inline uint32_t add_tenant(struct directory *directory, const char *account, const char *id, bool active,
                                  uint8_t token)
{
    struct tenant_record record = {.id = id, .account = "", .name = "", .active = active, .has_token = token != 0};

    memset(record.token, token, sizeof record.token);
    uint32_t owner = bfr_directory_add_account(directory, &(struct account_record){account, true});
    assert_true(owner != DIRECTORY_NONE);
    return bfr_directory_add_tenant(directory, owner, &record);
}

static inline void add_dataset(struct directory *directory, uint32_t tenant, const char *id, bool active)
{
    assert_true(bfr_directory_add_dataset(directory, tenant,
                                          &(struct dataset_record){id, "A name", "ndjson", active}) != DIRECTORY_NONE);
}

// acme (a1, token 1): web, old (inactive); closed (a1, inactive); frozen (a2, which is inactive).
static inline struct directory *make_directory(uint64_t asked_ns)
{
    struct directory *directory = bfr_directory_new();

    assert_non_null(directory);
    uint32_t acme = add_tenant(directory, "a1", "acme", true, 1);
    add_dataset(directory, acme, "web", true);
    add_dataset(directory, acme, "old", false);
    (void)add_tenant(directory, "a1", "closed", false, 0);
    (void)add_tenant(directory, "a2", "frozen", true, 2);
    (void)bfr_directory_add_account(directory, &(struct account_record){"a2", false});
    directory->asked_ns = asked_ns;
    directory->whole = true;
    directory->tenants[acme].whole = true;
    directory->tenants[acme].sets_asked_ns = asked_ns;
    return directory;
}

static inline struct fact_subject about(enum fact_kind kind, const char *tenant, const char *dataset, uint8_t key)
{
    struct fact_subject subject = {.kind = kind};

    snprintf(subject.tenant, sizeof subject.tenant, "%s", tenant);
    snprintf(subject.dataset, sizeof subject.dataset, "%s", dataset);
    memset(subject.key, key, sizeof subject.key);
    return subject;
}

#endif
