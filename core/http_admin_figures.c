// SPDX-License-Identifier: Apache-2.0
// What /api/v1/stats says beside the books: figures that the registry of metrics has, and the busiest tenants. Runs on the admin
// thread; reads snapshots, keeps nothing.
#include "http_admin_figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX      "bytefreezer_receiver_"
#define TENANTS_MAX 200

// --- figures of the registry

// Where a figure goes in the reply. With `label`, its value names the member; the others are fixed.
static const struct {
    const char *metric, *label, *object, *member;
} places[] = {
    {PREFIX "requests_total", "code", "requests", NULL},
    {PREFIX "refused_total", "reason", "refused", NULL},
    {PREFIX "duplicates_total", NULL, NULL, "duplicates"},
    {PREFIX "connections", NULL, NULL, "connections"},
    {PREFIX "memory_used_bytes", NULL, "memory", "used_bytes"},
    {"process_resident_memory_bytes", NULL, "memory", "resident_bytes"},
    {PREFIX "spool_bytes", NULL, "spool", "used_bytes"},
    {PREFIX "spool_limit_bytes", NULL, "spool", "limit_bytes"},
    {PREFIX "spool_free_bytes", NULL, "spool", "free_bytes"},
    {PREFIX "spool_full_seconds", NULL, "spool", "full_seconds"},
};

static const char *label_of(const struct bfr_sample *sample, const char *name)
{
    for (const char *const *label = sample->labels; label[0] != NULL; label += 2) {
        if (strcmp(label[0], name) == 0)
            return label[1];
    }
    return NULL;
}

// Counts and bytes are whole. A negative one means "never" (spool_full_seconds), and JSON has no infinity: both are null.
static json_t *figure(double value)
{
    return isfinite(value) && value >= 0 && value < 9e18 ? json_integer((json_int_t)value) : json_null();
}

static void put_figure(json_t *stats, size_t place, const struct bfr_sample *sample)
{
    json_t *object = places[place].object == NULL ? stats : json_object_get(stats, places[place].object);
    const char *member = places[place].member;
    if (places[place].label != NULL) {
        member = label_of(sample, places[place].label);
        if (member == NULL || sample->value == 0) // most reasons never happen
            return;
    }
    json_object_set_new(object, member, figure(sample->value));
}

static void put_attempts(json_t *stats, const struct bfr_sample *sample)
{
    const char *name = label_of(sample, "sink"), *outcome = label_of(sample, "outcome");
    json_t *sink;
    size_t i;
    json_array_foreach(json_object_get(stats, "sinks"), i, sink)
    {
        const char *known = json_string_value(json_object_get(sink, "name"));
        if (name != NULL && outcome != NULL && known != NULL && strcmp(known, name) == 0)
            json_object_set_new(json_object_get(sink, "attempts"), outcome, figure(sample->value));
    }
}

static bool on_sample(void *arg, const struct bfr_sample *sample)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strcmp(places[i].metric, sample->name) == 0)
            put_figure(arg, i, sample);
    }
    if (strcmp(sample->name, PREFIX "sink_attempts_total") == 0)
        put_attempts(arg, sample);
    return true;
}

void bfr_admin_add_figures(struct bfr_http_admin *admin, json_t *stats)
{
    json_t *sink;
    size_t i;
    json_object_set_new(stats, "requests", json_object());
    json_object_set_new(stats, "refused", json_object());
    json_object_set_new(stats, "memory",
                        json_pack("{s:I}", "budget_bytes", (json_int_t)bfr_admin_enter(admin)->memory.budget));
    bfr_admin_leave(admin);
    json_object_set_new(stats, "spool", json_object());
    json_array_foreach(json_object_get(stats, "sinks"), i, sink) json_object_set_new(sink, "attempts", json_object());
    (void)bfr_metrics_visit(admin->setup.metrics, on_sample, stats);
}

// --- tenants

struct rows {
    struct bfr_ledger_row *list;
    size_t count, room;
    bool complete;
};

static bool take_row(void *arg, const struct bfr_ledger_row *row)
{
    struct rows *rows = arg;
    if (row->tenant == NULL) // the total
        return true;
    if (rows->count == rows->room) {
        size_t room = rows->room == 0 ? 64 : rows->room * 2;
        struct bfr_ledger_row *list = realloc(rows->list, room * sizeof *list);
        rows->complete = list != NULL;
        if (list == NULL)
            return false;
        rows->list = list;
        rows->room = room;
    }
    rows->list[rows->count++] = *row;
    return true;
}

// Who sent most comes first; ties by name, so that the order is the same each time.
static int by_bytes(const void *left, const void *right)
{
    const struct bfr_ledger_row *a = left, *b = right;
    uint64_t a_bytes = a->accepted_bytes + a->recovered_bytes, b_bytes = b->accepted_bytes + b->recovered_bytes;
    if (a_bytes != b_bytes)
        return a_bytes < b_bytes ? 1 : -1;
    return strcmp(a->tenant, b->tenant);
}

json_t *bfr_admin_row(const struct bfr_ledger_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "recovered",
                     bfr_admin_pair(row->recovered_batches, row->recovered_bytes), "accepted",
                     bfr_admin_pair(row->accepted_batches, row->accepted_bytes), "stored",
                     bfr_admin_pair(row->stored_batches, row->stored_bytes), "held",
                     bfr_admin_pair(row->held_batches, row->held_bytes), "buried",
                     bfr_admin_pair(row->buried_batches, row->buried_bytes), "purged",
                     bfr_admin_pair(row->purged_batches, row->purged_bytes));
}

json_t *bfr_admin_pair(uint64_t batches, uint64_t bytes)
{
    return json_pack("{s:I, s:I}", "batches", (json_int_t)batches, "bytes", (json_int_t)bytes);
}

void bfr_admin_add_tenants(struct bfr_http_admin *admin, json_t *stats)
{
    struct rows rows = {.complete = true};
    json_t *tenants = json_array();
    bfr_pipeline_ledger(admin->setup.pipeline, take_row, &rows);
    if (rows.count > 0)
        qsort(rows.list, rows.count, sizeof rows.list[0], by_bytes);
    for (size_t i = 0; i < rows.count && i < TENANTS_MAX; i++) {
        json_t *entry = bfr_admin_row(&rows.list[i]);
        json_object_set_new(entry, "tenant_id", bfr_admin_text(rows.list[i].tenant));
        json_array_append_new(tenants, entry);
    }
    json_object_set_new(stats, "tenants", tenants);
    json_object_set_new(stats, "tenants_complete", json_boolean(rows.complete && rows.count <= TENANTS_MAX));
    free(rows.list);
}
