// SPDX-License-Identifier: Apache-2.0
// Putting batches into the volatile queue, lending them to consumers and taking them back. Any thread, all calls
// concurrent. Nothing here blocks but the mutex; the host is called (complete, ready, retain, release) only without it.
#include "memory_queue.h"

#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#define COMPLETE_AT_ONCE 64

uint32_t bfr_memory_new(const struct bfr_host *host, uint64_t limit_bytes, struct memory_queue **out,
                        struct bfr_err *err)
{
    struct memory_queue *queue = calloc(1, sizeof *queue);

    if (queue == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory while making the queue");
    queue->host = host;
    queue->limit_bytes = limit_bytes;
    pthread_mutex_init(&queue->mutex, NULL);
    list_init(&queue->held);
    list_init(&queue->letters);
    *out = queue;
    return BFR_OK;
}

uint32_t bfr_memory_consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err)
{
    struct memory_queue *queue = self;

    if (count == 0 || count > MEMORY_CONSUMERS_MAX)
        return bfr_err_set(err, BFR_EINVAL, "%u consumers; a memory queue serves 1 to %d", count, MEMORY_CONSUMERS_MAX);
    if (queue->backlogs != NULL)
        return bfr_err_set(err, BFR_EINVAL, "the consumers have been told before; they are told once");
    queue->backlogs = calloc(count, sizeof *queue->backlogs);
    queue->consumer_names = calloc(count, sizeof *queue->consumer_names);
    bool good = queue->backlogs != NULL && queue->consumer_names != NULL;
    for (uint32_t i = 0; good && i < count; i++) {
        bfr_backlog_init(&queue->backlogs[i]);
        queue->consumer_names[i] = strdup(names[i]);
        good = queue->consumer_names[i] != NULL;
        queue->consumer_count++;
    }
    if (!good)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory for %u consumers", count);
    bfr_tenants_init(&queue->tenants, count);
    return BFR_OK;
}

void bfr_memory_forget(struct memory_queue *queue, struct held *held)
{
    queue->host->batch_release(queue->host, held->batch);
    bfr_trouble_clear(&held->trouble);
    free(held);
}

// Leaves an empty list behind.
void bfr_memory_forget_all(struct memory_queue *queue, struct list *list)
{
    struct list *next;

    for (struct list *node = list->next; node != list; node = next) {
        next = node->next;
        bfr_memory_forget(queue, LIST_OWNER(node, struct held, link));
    }
    list_init(list);
}

static void drop_tenants(struct memory_queue *queue, struct list *list)
{
    for (struct list *node = list->next; node != list; node = node->next)
        bfr_tenants_drop(&queue->tenants, LIST_OWNER(node, struct held, link)->tenant);
}

void bfr_memory_free(struct memory_queue *queue)
{
    drop_tenants(queue, &queue->held);
    drop_tenants(queue, &queue->letters);
    bfr_tenants_free(&queue->tenants);
    bfr_memory_forget_all(queue, &queue->held);
    bfr_memory_forget_all(queue, &queue->letters);
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        bfr_backlog_free(&queue->backlogs[i]);
        free(queue->consumer_names[i]);
    }
    free(queue->consumer_names);
    free(queue->backlogs);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

// Made without the mutex; what needs the tenant's lanes follows in init_claims.
static struct held *make_held(const struct memory_queue *queue, const struct bfr_batch *batch)
{
    struct held *held = calloc(1, sizeof *held + queue->consumer_count * sizeof held->claims[0]);

    if (held == NULL)
        return NULL;
    list_init(&held->link);
    held->batch = batch;
    bfr_settle_init(&held->settle, queue->consumer_count);
    return held;
}

static void init_claims(struct memory_queue *queue, struct held *held)
{
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        struct claim *claim = &held->claims[i];
        claim->lease = (struct bfr_lease){.size = sizeof claim->lease, .batch = held->batch};
        claim->held = held;
        claim->state = CLAIM_WAITING;
        bfr_backlog_entry_init(&claim->waiting, &held->tenant->lanes[i], held->batch->body_bytes);
    }
}

// All that can fail about holding a batch, so that nothing can after its completion. The mutex is held.
static bool admit(struct memory_queue *queue, struct held *held)
{
    size_t total = queue->held_batches + queue->buried_batches + 1;

    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (!bfr_backlog_reserve(&queue->backlogs[i], total))
            return false;
    held->tenant = bfr_tenants_hold(&queue->tenants, held->batch->tenant);
    if (held->tenant == NULL)
        return false;
    if (!bfr_memory_take_room(queue, held->batch->body_bytes)) {
        bfr_tenants_drop(&queue->tenants, held->tenant);
        return false;
    }
    init_claims(queue, held);
    held->sequence = ++queue->sequence;
    list_push_tail(&queue->held, &held->link);
    return true;
}

void bfr_memory_offer(struct memory_queue *queue, struct held *held)
{
    held->offered = true;
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (held->claims[i].state == CLAIM_WAITING)
            bfr_backlog_add(&queue->backlogs[i], &held->claims[i].waiting);
}

static void complete_stored(const struct memory_queue *queue, const struct bfr_delivery *const *deliveries,
                            size_t count)
{
    struct bfr_completion completions[COMPLETE_AT_ONCE];
    const struct bfr_completion *pointers[COMPLETE_AT_ONCE];

    // In one call: the host wakes each waiting loop once for all of them.
    for (size_t i = 0; i < count; i++) {
        completions[i] = (struct bfr_completion){
            .size = sizeof completions[i], .outcome = BFR_STORED, .token = deliveries[i]->token};
        pointers[i] = &completions[i];
    }
    queue->host->complete(queue->host, pointers, count);
}

// Held first, then completed, then offered: nobody can lease, and settle, a batch that its sender's side does not know to
// be accepted yet.
static size_t put_some(struct memory_queue *queue, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct held *taken[COMPLETE_AT_ONCE];
    size_t made = 0; // allocated; of these the first `admitted` are held
    size_t admitted = 0;

    while (made < count && (taken[made] = make_held(queue, deliveries[made]->batch)) != NULL)
        queue->host->batch_retain(queue->host, taken[made++]->batch);

    pthread_mutex_lock(&queue->mutex);
    while (admitted < made && admit(queue, taken[admitted]))
        admitted++;
    if (admitted < count)
        queue->refused = true;
    pthread_mutex_unlock(&queue->mutex);

    for (size_t i = admitted; i < made; i++)
        bfr_memory_forget(queue, taken[i]);
    if (admitted == 0)
        return 0;
    complete_stored(queue, deliveries, admitted);

    pthread_mutex_lock(&queue->mutex);
    for (size_t i = 0; i < admitted; i++)
        bfr_memory_offer(queue, taken[i]);
    pthread_mutex_unlock(&queue->mutex);
    queue->host->ready(queue->host);
    return admitted;
}

size_t bfr_memory_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    size_t done = 0;

    while (done < count) {
        size_t wanted = count - done < COMPLETE_AT_ONCE ? count - done : COMPLETE_AT_ONCE;
        size_t taken = put_some(self, deliveries + done, wanted);
        done += taken;
        if (taken < wanted)
            break;
    }
    return done;
}

// A probe takes what it takes: one batch is always allowed, and more than one is hardly ever asked for.
static struct backlog_entry *next_entry(struct backlog *backlog, bool probe, uint64_t max_bytes)
{
    return probe ? bfr_backlog_probe(backlog) : bfr_backlog_take(backlog, max_bytes);
}

uint32_t bfr_memory_lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                          uint64_t *out_next_ns)
{
    struct memory_queue *queue = self;
    struct backlog *backlog = &queue->backlogs[request->consumer];
    bool probe = (request->flags & BFR_LEASE_PROBE) != 0;
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    uint64_t room = UINT64_MAX; // the first one may be of any size
    uint64_t bytes = 0;
    uint32_t count = 0;
    struct backlog_entry *entry;

    pthread_mutex_lock(&queue->mutex);
    bfr_backlog_wake(backlog, now_ns);
    while (count < request->max_batches && (entry = next_entry(backlog, probe, room)) != NULL) {
        struct claim *claim = LIST_OWNER(entry, struct claim, waiting);
        bfr_settle_lease(&claim->held->settle, &claim->state);
        out[count++] = &claim->lease;
        bytes += claim->lease.batch->body_bytes;
        if (bytes >= request->max_bytes)
            break;
        room = request->max_bytes - bytes;
    }
    *out_next_ns = bfr_backlog_next_ns(backlog);
    pthread_mutex_unlock(&queue->mutex);
    return count;
}
