// SPDX-License-Identifier: Apache-2.0
// The second half of round.h: the datasets of each tenant. round->old is the directory of the first half: the same tenants
// under the same numbers, with their datasets as they were.
#include <stdio.h>

#include "lookup.h"
#include "round.h"

static const char *text_of(const struct directory *directory, uint32_t text)
{
    return bfr_directory_text(directory, text);
}

// ---- the same accounts and tenants ----

static bool copy_accounts(struct round *round)
{
    for (uint32_t i = 0; i < round->old->account_count; i++) {
        const struct directory_account *old = &round->old->accounts[i];
        if (bfr_directory_add_account(
                round->new, &(struct account_record){text_of(round->old, old->id), old->active}) == DIRECTORY_NONE)
            return false;
        round->new->accounts[i].whole = old->whole;
    }
    return true;
}

static bool copy_tenants(struct round *round)
{
    for (uint32_t i = 0; i < round->old->tenant_count; i++) {
        const struct directory_tenant *old = &round->old->tenants[i];
        struct tenant_record record = bfr_round_old_tenant(round, i);
        if (bfr_directory_add_tenant(round->new, old->account, &record) == DIRECTORY_NONE)
            return false;
        round->new->tenants[i].listed = old->listed;
    }
    return true;
}

// ---- lists ----

static bool is_asked_for(const struct round *round, uint32_t number)
{
    const struct directory_tenant *tenant = &round->old->tenants[number];

    return tenant->active && round->old->accounts[tenant->account].active &&
           (round->datasets_changed || tenant->sets_asked_ns == 0);
}

static void keep_all(struct round *round, uint32_t tenant)
{
    if (!bfr_directory_copy_datasets(round->new, tenant, round->old, tenant))
        round->no_memory = true;
}

// Those that are not asked for keep theirs.
static bool datasets_path(void *arg, uint32_t number, char *out)
{
    struct round *round = arg;

    if (!is_asked_for(round, number)) {
        keep_all(round, number);
        return false;
    }
    snprintf(out, CONTROL_PATH_MAX, "/api/v1/tenants/%s/datasets?limit=1000",
             text_of(round->old, round->old->tenants[number].id));
    return true;
}

struct dataset_list {
    struct round *round;
    uint32_t tenant;
    bool listed;
};

static bool on_dataset(void *arg, const struct dataset_record *record)
{
    struct dataset_list *list = arg;
    uint32_t number = bfr_directory_add_dataset(list->round->new, list->tenant, record);

    list->round->no_memory |= number == DIRECTORY_NONE;
    if (number != DIRECTORY_NONE)
        list->round->new->datasets[number].listed = list->listed;
    return number != DIRECTORY_NONE;
}

static void take_datasets(void *arg, const struct fetch *fetch)
{
    struct round *round = arg;
    struct dataset_list list = {round, fetch->number, true};
    struct control_reader reader = {.on_dataset = on_dataset, .arg = &list};
    struct directory_tenant *tenant = &round->new->tenants[fetch->number];

    if (bfr_round_read_list(round, fetch, &reader, &tenant->whole))
        tenant->sets_asked_ns = fetch->asked_ns;
    else
        keep_all(round, fetch->number);
}

// ---- datasets behind the cut, one by one ----

static bool old_dataset_path(void *arg, uint32_t number, char *out)
{
    const struct round *round = arg;
    const struct directory_dataset *old = &round->old->datasets[number];
    const char *id = text_of(round->old, old->id);

    // Whole lists prove that it is gone; and what was kept is there already.
    if (round->new->tenants[old->tenant].whole || bfr_directory_dataset(round->new, old->tenant, id) != DIRECTORY_NONE)
        return false;
    snprintf(out, CONTROL_PATH_MAX, "/api/v1/tenants/%s/datasets/%s",
             text_of(round->old, round->old->tenants[old->tenant].id), id);
    return true;
}

static void take_old_dataset(void *arg, const struct fetch *fetch)
{
    struct round *round = arg;
    const struct directory_dataset *old = &round->old->datasets[fetch->number];
    struct dataset_list list = {round, old->tenant, false};
    struct control_reader reader = {.on_dataset = on_dataset, .arg = &list};

    if (bfr_round_read_one(round, fetch, &reader))
        return;
    (void)on_dataset(&list, &(struct dataset_record){text_of(round->old, old->id), text_of(round->old, old->name),
                                                     text_of(round->old, old->hint), old->active});
}

// ---- what look-ups found meanwhile ----

static void add_found(void *arg, const struct fact *fact)
{
    struct round *round = arg;
    uint32_t tenant = bfr_directory_tenant(round->new, fact->subject.tenant);
    struct dataset_list list = {round, tenant, false};

    if (tenant == DIRECTORY_NONE)
        return;
    const struct directory_tenant *owner = &round->new->tenants[tenant];
    if (!owner->whole || fact->asked_ns >= owner->sets_asked_ns)
        (void)on_dataset(&list, &(struct dataset_record){fact->subject.dataset, "", "", true});
}

bool bfr_round_datasets(struct round *round)
{
    round->new = bfr_directory_new();
    if (round->new == NULL || !copy_accounts(round) || !copy_tenants(round))
        goto failed;
    round->new->asked_ns = round->old->asked_ns;
    round->new->whole = round->old->whole;
    bfr_fetcher_sweep(round->fetcher,
                      &(struct fetch_sweep){round->old->tenant_count, datasets_path, take_datasets, round});
    bfr_fetcher_sweep(round->fetcher,
                      &(struct fetch_sweep){round->old->dataset_count, old_dataset_path, take_old_dataset, round});
    bfr_lookups_good(round->control->lookups, FACT_DATASET, add_found, round);
    if (!round->no_memory) {
        bfr_directory_trim(round->new);
        return true;
    }
failed:
    bfr_round_fail(round, "directory", "out of memory");
    bfr_directory_free(round->new);
    round->new = NULL;
    return false;
}
