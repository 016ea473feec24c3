// SPDX-License-Identifier: Apache-2.0
// The table of flows: one row for each account, tenant and dataset, one mutex, called from any thread. Rows are never
// moved or freed before the end, so their names may be handed out; figures are copied under the lock.
#include "pipe_flows.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pipe_key.h"
#include "utf8.h"

// Beyond this many the rest share the first row, which has no names, so that a sender who invents datasets cannot fill the
// memory.
#define FLOWS_MAX 16384
#define BUCKETS   4096
#define COPIES    32   // rows copied under one lock
#define LOOKED_AT 1024 // rows looked at under one lock

struct row {
    struct row *next; // in its bucket
    uint64_t hash;
    uint64_t changed; // the table's tick when it last changed
    struct bfr_flow flow;
    char names[3 * (BFR_ID_MAX + 1)];
};

struct bfr_flows {
    pthread_mutex_t lock;
    struct bfr_hash_seed seed;
    uint64_t tick;
    uint32_t count;
    struct row *buckets[BUCKETS];
    struct row *rows[FLOWS_MAX];
};

static struct row *row_new(struct bfr_flows *flows, const char *account, const char *tenant, const char *dataset)
{
    const char *const names[] = {account, tenant, dataset};
    struct row *row = calloc(1, sizeof *row);
    if (row == NULL)
        return NULL;
    const char **const out[] = {&row->flow.account, &row->flow.tenant, &row->flow.dataset};
    char *at = row->names;
    for (size_t i = 0; i < 3; i++) {
        size_t size = strnlen(names[i], BFR_ID_MAX);
        memcpy(at, names[i], size);
        *out[i] = at;
        at += size + 1;
    }
    row->flow.size = sizeof row->flow;
    row->flow.number = flows->count;
    flows->rows[flows->count++] = row;
    return row;
}

struct bfr_flows *bfr_flows_new(void)
{
    struct bfr_flows *flows = calloc(1, sizeof *flows);
    if (flows == NULL)
        return NULL;
    pthread_mutex_init(&flows->lock, NULL);
    if (bfr_hash_seed_init(&flows->seed) && row_new(flows, "", "", "") != NULL)
        return flows;
    bfr_flows_free(flows);
    return NULL;
}

void bfr_flows_free(struct bfr_flows *flows)
{
    if (flows == NULL)
        return;
    for (uint32_t i = 0; i < flows->count; i++)
        free(flows->rows[i]);
    pthread_mutex_destroy(&flows->lock);
    free(flows);
}

static uint64_t hash_names(const struct bfr_flows *flows, const struct bfr_batch *batch)
{
    char key[3 * (BFR_ID_MAX + 1)];
    const char *const names[] = {batch->account, batch->tenant, batch->dataset};
    size_t size = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t length = strnlen(names[i], BFR_ID_MAX);
        memcpy(key + size, names[i], length);
        key[size + length] = '\0';
        size += length + 1;
    }
    return bfr_hash(&flows->seed, key, size);
}

// With the lock held. Without room or memory: the shared row.
static struct bfr_flow *find_or_make(struct bfr_flows *flows, const struct bfr_batch *batch, uint64_t hash)
{
    struct row **bucket = &flows->buckets[hash % BUCKETS];
    struct row *row = *bucket;
    while (row != NULL &&
           (row->hash != hash || strcmp(row->flow.tenant, batch->tenant) != 0 ||
            strcmp(row->flow.dataset, batch->dataset) != 0 || strcmp(row->flow.account, batch->account) != 0))
        row = row->next;
    if (row == NULL && flows->count < FLOWS_MAX) {
        row = row_new(flows, batch->account, batch->tenant, batch->dataset);
        if (row != NULL) {
            row->hash = hash;
            row->next = *bucket;
            *bucket = row;
        }
    }
    if (row == NULL)
        row = flows->rows[0];
    row->changed = ++flows->tick;
    return &row->flow;
}

static struct bfr_flow *enter(struct bfr_flows *flows, const struct bfr_batch *batch)
{
    uint64_t hash = hash_names(flows, batch);
    pthread_mutex_lock(&flows->lock);
    return find_or_make(flows, batch, hash);
}

static void leave(struct bfr_flows *flows)
{
    pthread_mutex_unlock(&flows->lock);
}

void bfr_flows_accepted(struct bfr_flows *flows, const struct bfr_batch *batch)
{
    if (flows == NULL)
        return;
    struct bfr_flow *flow = enter(flows, batch);
    flow->accepted_batches++;
    flow->accepted_bytes += batch->body_bytes;
    flow->original_bytes += batch->original_bytes;
    flow->accepted_lines += batch->line_count;
    leave(flows);
}

void bfr_flows_stored(struct bfr_flows *flows, const struct bfr_batch *batch)
{
    if (flows == NULL)
        return;
    struct bfr_flow *flow = enter(flows, batch);
    flow->stored_batches++;
    flow->stored_bytes += batch->body_bytes;
    flow->stored_lines += batch->line_count;
    leave(flows);
}

// Cut between characters, not inside one.
static void keep_text(struct bfr_flow *flow, const char *text)
{
    size_t used = 0;
    while (text != NULL && text[used] != '\0') {
        uint32_t code;
        size_t length = bfr_utf8_read(text + used, &code);
        length = length == 0 ? 1 : length;
        if (used + length >= sizeof flow->last_error)
            break;
        memcpy(flow->last_error + used, text + used, length);
        used += length;
    }
    flow->last_error[used] = '\0';
}

void bfr_flows_failed(struct bfr_flows *flows, const struct bfr_batch *batch, const char *text)
{
    if (flows == NULL)
        return;
    struct bfr_flow *flow = enter(flows, batch);
    flow->failed_attempts++;
    keep_text(flow, text);
    leave(flows);
}

void bfr_flows_buried(struct bfr_flows *flows, const struct bfr_batch *batch, uint32_t reason, const char *text)
{
    if (flows == NULL)
        return;
    struct bfr_flow *flow = enter(flows, batch);
    flow->buried_batches++;
    flow->buried_bytes += batch->body_bytes;
    flow->last_reason = reason;
    keep_text(flow, text);
    leave(flows);
}

// Copy rows that changed after `since`, from *at on; moves *at. Returns how many.
static size_t copy_changed(struct bfr_flows *flows, uint64_t since, uint32_t *at, struct bfr_flow *out)
{
    size_t copied = 0;
    uint32_t looked_at = 0;
    pthread_mutex_lock(&flows->lock);
    for (; *at < flows->count && copied < COPIES && looked_at < LOOKED_AT; (*at)++, looked_at++) {
        if (flows->rows[*at]->changed > since)
            out[copied++] = flows->rows[*at]->flow;
    }
    bool end = *at >= flows->count;
    pthread_mutex_unlock(&flows->lock);
    if (end)
        *at = UINT32_MAX;
    return copied;
}

uint64_t bfr_flows_visit(struct bfr_flows *flows, uint64_t since, bool (*visit)(void *arg, const struct bfr_flow *flow),
                         void *arg)
{
    struct bfr_flow copies[COPIES];
    if (flows == NULL)
        return since;
    pthread_mutex_lock(&flows->lock);
    uint64_t mark = flows->tick; // what changes while we look may be seen twice, never missed
    pthread_mutex_unlock(&flows->lock);
    for (uint32_t at = 0; at != UINT32_MAX;) {
        size_t count = copy_changed(flows, since, &at, copies);
        for (size_t i = 0; i < count; i++) {
            if (!visit(arg, &copies[i]))
                return since;
        }
    }
    return mark;
}
