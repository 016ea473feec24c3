// SPDX-License-Identifier: Apache-2.0
// The table behind pipe_traffic.h: tenants, their datasets, their figures. Any thread. Rows are only ever added, by one
// thread at a time, and linked when they are complete, so readers need no lock; all values are relaxed atomics.
// pipe_traffic_page.c writes them at scrape.
#include "pipe_traffic.h"

#include <stdlib.h>
#include <string.h>

#include "pipe_delivery.h"
#include "pipe_traffic_table.h"

// ---- names to rows ----

static uint64_t hash_names(const struct bfr_traffic *traffic, const char *tenant, const char *dataset)
{
    char key[2 * (BFR_ID_MAX + 1)];
    size_t tenant_size = strnlen(tenant, BFR_ID_MAX), dataset_size = strnlen(dataset, BFR_ID_MAX);
    memcpy(key, tenant, tenant_size);
    key[tenant_size] = '\0';
    memcpy(key + tenant_size + 1, dataset, dataset_size);
    return bfr_hash(&traffic->seed, key, tenant_size + 1 + dataset_size);
}

static struct bfr_traffic_row *find(struct bfr_traffic *traffic, const char *tenant, const char *dataset)
{
    uint64_t hash = hash_names(traffic, tenant, dataset);
    struct bfr_traffic_row *row = atomic_load_explicit(&traffic->chains[hash % TRAFFIC_CHAINS], memory_order_acquire);
    while (row != NULL &&
           (row->hash != hash || strcmp(row->dataset, dataset) != 0 || strcmp(row->tenant->name, tenant) != 0))
        row = row->chain;
    return row;
}

// Under the lock, or before anybody else knows the table. The row is complete but for its place.
static void link_row(struct bfr_traffic *traffic, struct bfr_traffic_row *row, struct traffic_tenant *tenant,
                     const char *dataset)
{
    row->tenant = tenant;
    memcpy(row->dataset, dataset, strnlen(dataset, BFR_ID_MAX));
    row->hash = hash_names(traffic, tenant->name, row->dataset);
    row->chain = atomic_load(&traffic->chains[row->hash % TRAFFIC_CHAINS]);
    row->next = atomic_load(&tenant->rows);
    atomic_store_explicit(&tenant->rows, row, memory_order_release);
    atomic_store_explicit(&traffic->chains[row->hash % TRAFFIC_CHAINS], row, memory_order_release);
}

static void link_tenant(struct bfr_traffic *traffic, struct traffic_tenant *tenant, const char *name)
{
    memcpy(tenant->name, name, strnlen(name, BFR_ID_MAX));
    link_row(traffic, &tenant->rest, tenant, TRAFFIC_OTHER);
    tenant->next = atomic_load(&traffic->tenants);
    atomic_store_explicit(&traffic->tenants, tenant, memory_order_release);
}

static bool is_full(_Atomic uint32_t *count, _Atomic uint32_t *max)
{
    return atomic_load_explicit(count, memory_order_relaxed) >= atomic_load_explicit(max, memory_order_relaxed);
}

// Under the lock: its `other`. NULL without room or memory.
static struct bfr_traffic_row *add_tenant(struct bfr_traffic *traffic, const char *name)
{
    struct traffic_tenant *tenant =
        is_full(&traffic->tenant_count, &traffic->tenants_max) ? NULL : calloc(1, sizeof *tenant);
    if (tenant == NULL)
        return NULL;
    link_tenant(traffic, tenant, name);
    atomic_fetch_add(&traffic->tenant_count, 1);
    return &tenant->rest;
}

// Under the lock.
static struct bfr_traffic_row *add_dataset(struct bfr_traffic *traffic, struct traffic_tenant *tenant,
                                           const char *dataset)
{
    struct bfr_traffic_row *row =
        is_full(&traffic->dataset_count, &traffic->datasets_max) ? NULL : calloc(1, sizeof *row);
    if (row == NULL)
        return NULL;
    link_row(traffic, row, tenant, dataset);
    atomic_fetch_add(&traffic->dataset_count, 1);
    return row;
}

static struct bfr_traffic_row *add(struct bfr_traffic *traffic, const char *tenant, const char *dataset)
{
    pthread_mutex_lock(&traffic->lock);
    struct bfr_traffic_row *rest = find(traffic, tenant, TRAFFIC_OTHER);
    if (rest == NULL)
        rest = add_tenant(traffic, tenant);
    struct bfr_traffic_row *row = find(traffic, tenant, dataset); // another thread may have been here
    if (row == NULL && rest != NULL)
        row = add_dataset(traffic, rest->tenant, dataset);
    pthread_mutex_unlock(&traffic->lock);
    return row != NULL ? row : rest;
}

// Where nothing can be added the lock is not taken, so a full table costs no more than one with room. The name `other` is
// ours, whoever may be called so.
static struct bfr_traffic_row *find_or_add(struct bfr_traffic *traffic, const char *tenant, const char *dataset,
                                           bool may_add)
{
    struct bfr_traffic_row *row = find(traffic, tenant, dataset);
    if (row != NULL)
        return row;
    struct bfr_traffic_row *rest = find(traffic, tenant, TRAFFIC_OTHER);
    may_add = may_add && (rest != NULL ? !is_full(&traffic->dataset_count, &traffic->datasets_max)
                                       : !is_full(&traffic->tenant_count, &traffic->tenants_max));
    if (may_add && tenant[0] != '\0' && strcmp(tenant, TRAFFIC_OTHER) != 0)
        rest = add(traffic, tenant, dataset[0] != '\0' ? dataset : TRAFFIC_OTHER);
    return rest != NULL ? rest : &traffic->other.rest;
}

// ---- counting ----

static void count(_Atomic uint64_t *counter, uint64_t value)
{
    if (value > 0)
        atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static bool is_of(const struct bfr_traffic_row *row, const struct bfr_traffic_request *request)
{
    return row != NULL && strcmp(row->dataset, request->dataset) == 0 &&
           strcmp(row->tenant->name, request->tenant) == 0;
}

void bfr_traffic_answered(struct bfr_traffic *traffic, const struct bfr_traffic_request *request,
                          struct bfr_traffic_row **hint)
{
    if (traffic == NULL)
        return;
    struct bfr_traffic_row *row = hint != NULL ? *hint : NULL;
    if (!is_of(row, request))
        row = find_or_add(traffic, request->tenant, request->dataset, request->authorised);
    if (hint != NULL)
        *hint = row;
    struct traffic_answers *answers = &row->answers[request->success];
    count(&answers->requests, 1);
    count(&answers->bytes_received, request->bytes_received);
    count(&answers->lines_received, request->lines_received);
    count(&answers->bytes_processed, request->bytes_processed);
    count(&answers->lines_processed, request->lines_processed);
    bfr_timing_note(&answers->processing, request->duration_ns);
}

void bfr_traffic_auth_failed(struct bfr_traffic *traffic, const char *tenant, enum bfr_auth_failure failure)
{
    if (traffic != NULL)
        count(&find_or_add(traffic, tenant, TRAFFIC_OTHER, false)->tenant->auth_failures[failure], 1);
}

static size_t failure_index(const struct bfr_slot *slot)
{
    uint32_t reason = slot->reason;
    switch (slot->outcome) {
    case BFR_REJECT:
        if (reason < BFR_REASON_CONFLICT || reason > BFR_REASON_EXPIRED)
            reason = BFR_REASON_REJECTED; // of a newer header than ours
        return TRAFFIC_FAILURE_REASONS + reason - BFR_REASON_CONFLICT;
    case BFR_FATAL:
        return TRAFFIC_FAILURE_FATAL;
    default:
        return (slot->flags & BFR_OUTAGE) != 0 ? TRAFFIC_FAILURE_OUTAGE : TRAFFIC_FAILURE_RETRY;
    }
}

// What was recovered at the start was authorised when it came.
void bfr_traffic_uploaded(struct bfr_traffic *traffic, const struct bfr_slot *slot, uint64_t duration_ns)
{
    if (traffic == NULL)
        return;
    const struct bfr_batch *batch = slot->view.batch;
    bool cached = (batch->flags & BFR_BATCH_READ_BACK) == 0;
    struct traffic_uploads *uploads = &find_or_add(traffic, batch->tenant, batch->dataset, true)->uploads[cached];
    if (slot->outcome == BFR_STORED)
        bfr_timing_note(&uploads->stored, duration_ns);
    else
        count(&uploads->failures[failure_index(slot)], 1);
}

// ---- life ----

void bfr_traffic_set_limits(struct bfr_traffic *traffic, uint32_t tenants_max, uint32_t datasets_max)
{
    if (traffic == NULL)
        return;
    atomic_store(&traffic->tenants_max, tenants_max);
    atomic_store(&traffic->datasets_max, datasets_max);
}

struct bfr_traffic *bfr_traffic_new(struct bfr_metrics *metrics, uint32_t tenants_max, uint32_t datasets_max)
{
    struct bfr_traffic *traffic = calloc(1, sizeof *traffic);
    if (traffic == NULL)
        return NULL;
    pthread_mutex_init(&traffic->lock, NULL);
    if (!bfr_hash_seed_init(&traffic->seed)) {
        bfr_traffic_free(traffic);
        return NULL;
    }
    bfr_traffic_set_limits(traffic, tenants_max, datasets_max);
    link_tenant(traffic, &traffic->other, TRAFFIC_OTHER);
    bfr_metrics_collect(metrics, bfr_traffic_collect, traffic);
    return traffic;
}

// The rows of one tenant but the last, which is part of it.
static void free_rows(struct traffic_tenant *tenant)
{
    struct bfr_traffic_row *row = atomic_load(&tenant->rows);
    while (row != NULL && row != &tenant->rest) {
        struct bfr_traffic_row *next = row->next;
        free(row);
        row = next;
    }
}

void bfr_traffic_free(struct bfr_traffic *traffic)
{
    if (traffic == NULL)
        return;
    struct traffic_tenant *tenant = atomic_load(&traffic->tenants);
    while (tenant != NULL && tenant != &traffic->other) {
        struct traffic_tenant *next = tenant->next;
        free_rows(tenant);
        free(tenant);
        tenant = next;
    }
    pthread_mutex_destroy(&traffic->lock);
    free(traffic);
}
