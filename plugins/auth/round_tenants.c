// SPDX-License-Identifier: Apache-2.0
// The first half of round.h: accounts and tenants. A list that was cut proves nothing about who is not in it: who was known
// before is asked about singly.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"
#include "round.h"

void bfr_round_fail(struct round *round, const char *part, const char *why)
{
    if (round->failures++ == 0)
        snprintf(round->trouble, sizeof round->trouble, "%s: %s", part, why);
}

bool bfr_round_read_list(struct round *round, const struct fetch *fetch, const struct control_reader *reader,
                         bool *out_whole)
{
    const char *why = fetch->text;

    if (fetch->answer == CONTROL_OK &&
        bfr_control_read_list(fetch->body, fetch->body_bytes, reader, out_whole, &why) == CONTROL_READ_OK)
        return true;
    bfr_round_fail(round, fetch->path, why != NULL ? why : "out of memory");
    return false;
}

bool bfr_round_read_one(struct round *round, const struct fetch *fetch, const struct control_reader *reader)
{
    const char *why = fetch->text;

    if (fetch->answer == CONTROL_GONE)
        return true;
    if (fetch->answer == CONTROL_OK &&
        bfr_control_read_one(fetch->body, fetch->body_bytes, reader, &why) == CONTROL_READ_OK)
        return true;
    bfr_round_fail(round, fetch->path, why != NULL ? why : "out of memory");
    return false;
}

struct tenant_record bfr_round_old_tenant(const struct round *round, uint32_t number)
{
    const struct directory_tenant *old = &round->old->tenants[number];
    struct tenant_record record = {.id = bfr_directory_text(round->old, old->id),
                                   .account = "",
                                   .name = bfr_directory_text(round->old, old->name),
                                   .active = old->active,
                                   .has_token = old->has_token};

    memcpy(record.token, old->token, sizeof record.token);
    return record;
}

static const char *text_of(const struct directory *directory, uint32_t text)
{
    return bfr_directory_text(directory, text);
}

static void remember(struct round *round, uint32_t number)
{
    round->no_memory |= number == DIRECTORY_NONE;
}

// ---- accounts ----

static bool on_account(void *arg, const struct account_record *record)
{
    struct round *round = arg;

    remember(round, bfr_directory_add_account(round->new, record));
    return !round->no_memory;
}

static bool accounts_path(void *arg, uint32_t number, char *out)
{
    const struct round *round = arg;
    (void)number;

    if (round->control->account[0] != '\0')
        snprintf(out, CONTROL_PATH_MAX, "/api/v1/accounts/%s", round->control->account);
    else
        snprintf(out, CONTROL_PATH_MAX, "/api/v1/accounts?limit=1000");
    return true;
}

static void take_accounts(void *arg, const struct fetch *fetch)
{
    struct round *round = arg;
    struct control_reader reader = {.on_account = on_account, .arg = round};
    bool single = round->control->account[0] != '\0';
    const char *why = fetch->text;
    bool ok = false;

    round->new->whole = single;
    if (fetch->answer == CONTROL_OK && single)
        ok = bfr_control_read_one(fetch->body, fetch->body_bytes, &reader, &why) == CONTROL_READ_OK &&
             round->new->account_count > 0;
    else if (fetch->answer == CONTROL_OK)
        ok =
            bfr_control_read_list(fetch->body, fetch->body_bytes, &reader, &round->new->whole, &why) == CONTROL_READ_OK;
    if (!ok)
        bfr_round_fail(round, fetch->path, why != NULL ? why : "out of memory");
}

// Accounts behind the cut, one by one.
static bool old_account_path(void *arg, uint32_t number, char *out)
{
    const struct round *round = arg;
    const char *id = text_of(round->old, round->old->accounts[number].id);

    if (bfr_directory_account(round->new, id) != DIRECTORY_NONE)
        return false;
    snprintf(out, CONTROL_PATH_MAX, "/api/v1/accounts/%s", id);
    return true;
}

static void take_old_account(void *arg, const struct fetch *fetch)
{
    struct round *round = arg;
    struct control_reader reader = {.on_account = on_account, .arg = round};
    const struct directory_account *old = &round->old->accounts[fetch->number];

    if (bfr_round_read_one(round, fetch, &reader))
        return;
    remember(round, bfr_directory_add_account(round->new,
                                              &(struct account_record){text_of(round->old, old->id), old->active}));
}

static bool get_accounts(struct round *round)
{
    bfr_fetcher_sweep(round->fetcher, &(struct fetch_sweep){1, accounts_path, take_accounts, round});
    if (round->failures > 0)
        return false;
    if (!round->new->whole && round->old != NULL)
        bfr_fetcher_sweep(round->fetcher,
                          &(struct fetch_sweep){round->old->account_count, old_account_path, take_old_account, round});
    return !round->no_memory;
}

// ---- tenants ----

// One account's list on its way into the directory.
struct tenant_list {
    struct round *round;
    uint32_t account;
    bool listed;
};

static bool on_tenant(void *arg, const struct tenant_record *record)
{
    struct tenant_list *list = arg;
    uint32_t number = bfr_directory_add_tenant(list->round->new, list->account, record);

    remember(list->round, number);
    if (number != DIRECTORY_NONE)
        list->round->new->tenants[number].listed = list->listed;
    return number != DIRECTORY_NONE;
}

// A tenant as the old directory has it, under the account of the same name.
static void keep_tenant(struct round *round, uint32_t number)
{
    const struct directory_tenant *old = &round->old->tenants[number];
    const struct directory_account *account = &round->old->accounts[old->account];
    struct tenant_record record = bfr_round_old_tenant(round, number);
    uint32_t owner = bfr_directory_account(round->new, text_of(round->old, account->id));

    if (owner == DIRECTORY_NONE)
        owner = bfr_directory_add_account(round->new,
                                          &(struct account_record){text_of(round->old, account->id), account->active});
    uint32_t kept = owner == DIRECTORY_NONE ? owner : bfr_directory_add_tenant(round->new, owner, &record);
    remember(round, kept);
    if (kept != DIRECTORY_NONE)
        round->new->tenants[kept].listed = old->listed;
}

static void keep_account_tenants(struct round *round, const char *account)
{
    uint32_t owner = round->old == NULL ? DIRECTORY_NONE : bfr_directory_account(round->old, account);

    for (uint32_t i = 0; owner != DIRECTORY_NONE && i < round->old->tenant_count; i++)
        if (round->old->tenants[i].account == owner)
            keep_tenant(round, i);
}

static bool tenants_path(void *arg, uint32_t number, char *out)
{
    const struct round *round = arg;
    const struct directory_account *account = &round->new->accounts[number];

    snprintf(out, CONTROL_PATH_MAX, "/api/v1/accounts/%s/tenants?limit=1000", text_of(round->new, account->id));
    return account->active;
}

static void take_tenants(void *arg, const struct fetch *fetch)
{
    struct round *round = arg;
    struct tenant_list list = {round, fetch->number, true};
    struct control_reader reader = {.on_tenant = on_tenant, .arg = &list};
    bool whole = false;

    if (bfr_round_read_list(round, fetch, &reader, &whole)) {
        round->new->accounts[fetch->number].whole = whole;
        return;
    }
    char account[BFR_ID_MAX + 1];
    snprintf(account, sizeof account, "%s", text_of(round->new, round->new->accounts[fetch->number].id));
    keep_account_tenants(round, account);
}

// Does the new directory prove that the old one's tenant is not there any more?
static bool is_disproven(const struct round *round, const struct directory_tenant *old)
{
    uint32_t account = bfr_directory_account(round->new, text_of(round->old, round->old->accounts[old->account].id));

    if (account == DIRECTORY_NONE)
        return true; // accounts are whole, or this one was asked about
    return !round->new->accounts[account].active || round->new->accounts[account].whole;
}

// Tenants behind the cut, one by one.
static bool old_tenant_path(void *arg, uint32_t number, char *out)
{
    const struct round *round = arg;
    const struct directory_tenant *old = &round->old->tenants[number];
    const char *id = text_of(round->old, old->id);

    if (bfr_directory_tenant(round->new, id) != DIRECTORY_NONE || is_disproven(round, old))
        return false;
    snprintf(out, CONTROL_PATH_MAX, "/api/v1/accounts/%s/tenants/%s",
             text_of(round->old, round->old->accounts[old->account].id), id);
    return true;
}

static void take_old_tenant(void *arg, const struct fetch *fetch)
{
    struct round *round = arg;
    const struct directory_tenant *old = &round->old->tenants[fetch->number];
    uint32_t account = bfr_directory_account(round->new, text_of(round->old, round->old->accounts[old->account].id));
    struct tenant_list list = {round, account, false};
    struct control_reader reader = {.on_tenant = on_tenant, .arg = &list};

    if (!bfr_round_read_one(round, fetch, &reader))
        keep_tenant(round, fetch->number);
}

// ---- what look-ups found meanwhile ----

static void add_found(void *arg, const struct fact *fact)
{
    struct round *round = arg;
    uint32_t account = bfr_directory_account(round->new, fact->account);
    struct tenant_record record = {
        .id = fact->subject.tenant, .account = "", .name = "", .active = true, .has_token = fact->has_token};

    if (bfr_directory_tenant(round->new, fact->subject.tenant) != DIRECTORY_NONE)
        return;
    bool whole = account == DIRECTORY_NONE ? round->new->whole : round->new->accounts[account].whole;
    if (whole && fact->asked_ns < round->asked_ns)
        return; // the lists are newer, and it is not in them
    memcpy(record.token, fact->token, sizeof record.token);
    if (account == DIRECTORY_NONE)
        account = bfr_directory_add_account(round->new, &(struct account_record){fact->account, true});
    remember(round, account == DIRECTORY_NONE ? account : bfr_directory_add_tenant(round->new, account, &record));
}

static void carry_datasets(struct round *round)
{
    for (uint32_t i = 0; i < round->new->tenant_count && round->old != NULL && !round->no_memory; i++) {
        uint32_t old = bfr_directory_tenant(round->old, text_of(round->new, round->new->tenants[i].id));
        if (old != DIRECTORY_NONE && !bfr_directory_copy_datasets(round->new, i, round->old, old))
            round->no_memory = true;
    }
}

static void judge_wholeness(struct directory *directory)
{
    for (uint32_t i = 0; i < directory->account_count; i++)
        directory->whole &= directory->accounts[i].whole || !directory->accounts[i].active;
}

bool bfr_round_tenants(struct round *round)
{
    round->new = bfr_directory_new();
    if (round->new == NULL || !get_accounts(round))
        goto failed;
    round->new->asked_ns = round->asked_ns;
    bfr_fetcher_sweep(round->fetcher,
                      &(struct fetch_sweep){round->new->account_count, tenants_path, take_tenants, round});
    if (round->old != NULL)
        bfr_fetcher_sweep(round->fetcher,
                          &(struct fetch_sweep){round->old->tenant_count, old_tenant_path, take_old_tenant, round});
    bfr_lookups_good(round->control->lookups, FACT_TENANT, add_found, round);
    judge_wholeness(round->new);
    carry_datasets(round);
    if (!round->no_memory)
        return true;
failed:
    if (round->failures == 0)
        bfr_round_fail(round, "directory", "out of memory");
    bfr_directory_free(round->new);
    round->new = NULL;
    return false;
}
