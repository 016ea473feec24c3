// SPDX-License-Identifier: Apache-2.0
// See roster_show.h. A tenant's datasets lie together in a roster, in the order in which they were read.
#include "roster_show.h"

#include <stdlib.h>
#include <string.h>

// Begins at *first, which is moved behind the tenant's last one.
static bool show_tenant(const struct roster *roster, uint32_t number, uint32_t *first,
                        bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg)
{
    const struct roster_tenant *tenant = &roster->tenants[number];
    uint32_t begin = *first;
    uint32_t count = 0;

    while (begin + count < roster->dataset_count && roster->datasets[begin + count].tenant == number)
        count++;
    *first = begin + count;
    if (visit == NULL)
        return true;
    struct bfr_known_dataset *datasets = calloc(count + 1, sizeof *datasets);
    const struct bfr_known_dataset **pointers = calloc(count + 1, sizeof(const struct bfr_known_dataset *));
    bool more = false;
    for (uint32_t i = 0; datasets != NULL && pointers != NULL && i < count; i++) {
        const char *name = roster->datasets[begin + i].name;
        datasets[i] =
            (struct bfr_known_dataset){.size = sizeof *datasets, .dataset = name, .name = name, .data_hint = ""};
        pointers[i] = &datasets[i];
    }
    if (datasets != NULL && pointers != NULL)
        more = visit(arg, &(struct bfr_known_tenant){.size = sizeof(struct bfr_known_tenant),
                                                     .flags = (tenant->token_count > 0 ? BFR_KNOWN_HAS_TOKEN : 0) |
                                                              (tenant->all_datasets ? BFR_KNOWN_ALL_DATASETS : 0),
                                                     .account = tenant->account,
                                                     .tenant = tenant->tenant,
                                                     .name = tenant->tenant,
                                                     .dataset_count = count,
                                                     .datasets = pointers});
    free((void *)pointers);
    free(datasets);
    return more;
}

void bfr_roster_show(const struct roster *roster, const char *tenant, uint64_t skip,
                     bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg)
{
    uint32_t first = 0;
    bool more = true;

    for (uint32_t i = 0; more && i < roster->tenant_count; i++) {
        bool wanted = tenant == NULL || strcmp(tenant, roster->tenants[i].tenant) == 0;
        bool shown = wanted && skip == 0;
        if (wanted && skip > 0)
            skip--;
        more = show_tenant(roster, i, &first, shown ? visit : NULL, arg);
    }
}
