// SPDX-License-Identifier: Apache-2.0
// The directory for those who look at it: figures, and one tenant after the other. Any thread; a visit holds the directory
// of its beginning in place, so it must end.
#include <stdlib.h>

#include "control.h"

bool bfr_control_directory(struct control *control, struct bfr_directory *out)
{
    const struct directory *directory = (const struct directory *)bfr_live_enter(&control->live);

    out->flags = directory != NULL ? BFR_DIRECTORY_LOADED : 0;
    out->tenants = directory != NULL ? directory->active_tenants : 0;
    out->datasets = directory != NULL ? directory->active_datasets : 0;
    bfr_live_leave(&control->live);
    return true;
}

// One tenant's datasets, laid out as the ABI wants them; grows as needed and is used again.
struct show {
    struct bfr_known_dataset *datasets;
    const struct bfr_known_dataset **pointers;
    uint32_t room;
    uint32_t count;
};

static bool make_room(struct show *show)
{
    uint32_t room = show->room == 0 ? 32 : show->room * 2;
    struct bfr_known_dataset *datasets = realloc(show->datasets, room * sizeof *datasets);

    if (datasets != NULL)
        show->datasets = datasets;
    const struct bfr_known_dataset **pointers =
        realloc((void *)show->pointers, room * sizeof(const struct bfr_known_dataset *));
    if (pointers != NULL)
        show->pointers = pointers;
    if (datasets == NULL || pointers == NULL)
        return false;
    show->room = room;
    return true;
}

// False when memory is short: then the tenant is shown without what does not fit.
static bool gather(struct show *show, const struct directory *directory, const struct directory_tenant *tenant)
{
    bool ok = true;

    show->count = 0;
    for (uint32_t at = tenant->first; at != DIRECTORY_NONE && ok; at = directory->datasets[at].next) {
        const struct directory_dataset *dataset = &directory->datasets[at];
        if (!dataset->active)
            continue;
        ok = show->count < show->room || make_room(show);
        if (ok)
            show->datasets[show->count++] =
                (struct bfr_known_dataset){.size = sizeof(struct bfr_known_dataset),
                                           .dataset = bfr_directory_text(directory, dataset->id),
                                           .name = bfr_directory_text(directory, dataset->name),
                                           .data_hint = bfr_directory_text(directory, dataset->hint)};
    }
    for (uint32_t i = 0; i < show->count; i++)
        show->pointers[i] = &show->datasets[i];
    return ok;
}

static bool show_tenant(struct show *show, const struct directory *directory, const struct directory_tenant *tenant,
                        bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg)
{
    const struct directory_account *account = &directory->accounts[tenant->account];

    (void)gather(show, directory, tenant);
    return visit(arg, &(struct bfr_known_tenant){.size = sizeof(struct bfr_known_tenant),
                                                 .flags = tenant->has_token ? BFR_KNOWN_HAS_TOKEN : 0,
                                                 .account = bfr_directory_text(directory, account->id),
                                                 .tenant = bfr_directory_text(directory, tenant->id),
                                                 .name = bfr_directory_text(directory, tenant->name),
                                                 .dataset_count = show->count,
                                                 .datasets = show->pointers});
}

static bool is_active(const struct directory *directory, uint32_t number)
{
    return directory->tenants[number].active && directory->accounts[directory->tenants[number].account].active;
}

void bfr_control_tenants(struct control *control, const char *tenant, uint64_t skip,
                         bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg)
{
    const struct directory *directory = (const struct directory *)bfr_live_enter(&control->live);
    struct show show = {NULL, NULL, 0, 0};
    bool more = directory != NULL;

    if (directory != NULL && tenant != NULL) {
        uint32_t number = bfr_directory_tenant(directory, tenant);
        if (number != DIRECTORY_NONE && is_active(directory, number) && skip == 0)
            (void)show_tenant(&show, directory, &directory->tenants[number], visit, arg);
        more = false;
    }
    for (uint32_t i = 0; more && i < directory->tenant_count; i++) {
        if (!is_active(directory, i))
            continue;
        if (skip > 0)
            skip--;
        else
            more = show_tenant(&show, directory, &directory->tenants[i], visit, arg);
    }
    bfr_live_leave(&control->live);
    free(show.datasets);
    free((void *)show.pointers);
}
