// SPDX-License-Identifier: Apache-2.0
// What the auth stage knows of tenants, in the shape of the previous product. The list may be long, so it is made on the
// worker. A token is never shown, only whether there is one.
#include "http_admin_state.h"

#include <string.h>

#include "http_admin_work.h"

static json_t *dataset_value(const char *tenant, const struct bfr_known_dataset *dataset)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:{s:b, s:s}}", "id", bfr_admin_text(dataset->dataset), "name",
                     bfr_admin_text(dataset->name), "tenant_id", bfr_admin_text(tenant), "data_hint",
                     bfr_admin_text(dataset->data_hint), "processing_config", "enable_raw_storage", 1,
                     "partitioning_scheme", "date");
}

static json_t *tenant_value(const struct bfr_known_tenant *tenant)
{
    json_t *datasets = json_array();
    for (uint32_t i = 0; i < tenant->dataset_count; i++)
        (void)json_array_append_new(datasets, dataset_value(tenant->tenant, tenant->datasets[i]));
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:b}", "id", bfr_admin_text(tenant->tenant), "name",
                     bfr_admin_text(tenant->name), "bearer_token",
                     (tenant->flags & BFR_KNOWN_HAS_TOKEN) != 0 ? "***" : "", "datasets", datasets, "account_id",
                     bfr_admin_text(tenant->account), "all_datasets", (tenant->flags & BFR_KNOWN_ALL_DATASETS) != 0);
}

struct listing {
    json_t *tenants;
    bool good;
};

static bool add_tenant(void *arg, const struct bfr_known_tenant *tenant)
{
    struct listing *listing = arg;
    listing->good = json_array_append_new(listing->tenants, tenant_value(tenant)) == 0;
    return listing->good;
}

bool bfr_admin_directory(const struct bfr_http_admin *admin, uint64_t *out_tenants)
{
    struct bfr_directory directory = {.size = sizeof directory};
    bool there = admin->setup.auth != NULL && bfr_auth_directory(admin->setup.auth, &directory);
    *out_tenants = there ? directory.tenants : 0;
    return !there || (directory.flags & BFR_DIRECTORY_LOADED) != 0;
}

// `id` NULL: all.
static bool gather(const struct bfr_http_admin *admin, const char *id, struct listing *out)
{
    *out = (struct listing){.tenants = json_array(), .good = true};
    if (admin->setup.auth != NULL && out->tenants != NULL)
        (void)bfr_auth_tenants(admin->setup.auth, id, 0, add_tenant, out);
    return out->good && out->tenants != NULL;
}

static void list_tenants(struct bfr_admin_job *job)
{
    struct listing listing;
    bool good = gather(job->admin, NULL, &listing);
    job->reply = good ? json_pack("{s:O, s:I}", "tenants", listing.tenants, "count",
                                  (json_int_t)json_array_size(listing.tenants))
                      : NULL;
    json_decref(listing.tenants);
}

void bfr_admin_page_tenants(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    const struct bfr_admin_job job = {.run = list_tenants, .status = 200};
    (void)parameter;
    bfr_admin_work_order(admin, request, &job);
}

void bfr_admin_page_tenant_count(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    uint64_t count = 0;
    (void)parameter;
    (void)bfr_admin_directory(admin, &count);
    bfr_admin_reply_json(request, 200, json_pack("{s:I}", "count", (json_int_t)count));
}

void bfr_admin_page_tenant(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    struct listing listing;
    uint64_t count = 0;
    bool loaded = bfr_admin_directory(admin, &count), good = gather(admin, parameter, &listing);
    json_t *tenant = json_array_get(listing.tenants, 0);
    if (good && tenant == NULL && !loaded)
        bfr_admin_reply_error(request, 503, "the tenants are not known yet; /api/v1/health says why");
    else if (good && tenant == NULL)
        bfr_admin_reply_error(request, 404, "there is no tenant of that id");
    else
        bfr_admin_reply_json(request, 200, good ? json_pack("{s:O}", "tenant", tenant) : NULL);
    json_decref(listing.tenants);
}
