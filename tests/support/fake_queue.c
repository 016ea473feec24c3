// SPDX-License-Identifier: Apache-2.0
// See fake_queue.h. One mutex, never held while the host is called, but for what redrive moves.
#include "fake_queue.h"

#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

enum part { PART_WAITING = 1, PART_LEASED, PART_CONFIRMED, PART_BURIED };

struct fake_part {
    struct bfr_lease lease; // first
    struct fake_item *item;
    uint32_t state;
    uint64_t not_before_ns;
};

struct fake_item {
    struct fake_item *next;
    const struct bfr_batch *batch;
    bool buried;     // settled as a dead letter
    bool redriven;   // with BFR_FILTER_ONCE
    uint32_t reason; // of the burial
    int64_t first_error_ns, last_error_ns;
    uint64_t probed; // when it was last lent to a probe; 0 = never
    struct fake_part parts[FAKE_CONSUMERS_MAX];
};

// --- life

static uint32_t queue_create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct fake_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    queue->host = host;
    pthread_mutex_init(&queue->lock, NULL);
    *out_self = queue;
    return BFR_OK;
}

static void item_hold(struct fake_queue *queue, const struct bfr_batch *batch, bool buried)
{
    struct fake_item *item = calloc(1, sizeof *item);
    struct fake_item **at = &queue->items;
    if (item == NULL)
        abort();
    item->batch = batch;
    item->buried = buried;
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        item->parts[i].lease = (struct bfr_lease){.size = sizeof(struct bfr_lease), .batch = batch};
        item->parts[i].item = item;
        item->parts[i].state = buried ? PART_BURIED : PART_WAITING;
    }
    while (*at != NULL)
        at = &(*at)->next;
    *at = item;
}

static uint32_t queue_start(void *self, struct bfr_err *err)
{
    struct fake_queue *queue = self;
    (void)err;
    queue->started = true;
    for (size_t i = 0; i < queue->recovered_count; i++) {
        if (queue->recovered[i].batch != NULL)
            item_hold(queue, queue->recovered[i].batch, queue->recovered[i].buried);
    }
    return BFR_OK;
}

static void queue_drain(void *self, uint64_t deadline_ns)
{
    struct fake_queue *queue = self;
    (void)deadline_ns;
    queue->drained = true;
}

static void queue_stop(void *self)
{
    struct fake_queue *queue = self;
    if (!queue->mute)
        fake_queue_complete(queue, BFR_RETRY);
    queue->stopped = true;
}

static void queue_destroy(void *self)
{
    struct fake_queue *queue = self;
    while (queue->items != NULL) {
        struct fake_item *item = queue->items;
        queue->items = item->next;
        queue->host->batch_release(queue->host, item->batch);
        free(item);
    }
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

// --- put

static uint32_t queue_consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err)
{
    struct fake_queue *queue = self;
    if (count > FAKE_CONSUMERS_MAX)
        return bfr_err_set(err, BFR_EINVAL, "too many consumers");
    queue->consumer_count = count;
    for (uint32_t i = 0; i < count; i++)
        strncpy(queue->consumer_names[i], names[i], sizeof queue->consumer_names[i] - 1);
    return BFR_OK;
}

static void complete_one(struct fake_queue *queue, uint64_t token, uint32_t outcome)
{
    const struct bfr_completion completion = {
        .size = sizeof completion, .outcome = outcome, .token = token, .text = outcome == BFR_STORED ? NULL : "fake"};
    const struct bfr_completion *list[] = {&completion};
    queue->host->complete(queue->host, list, 1);
}

static void store(struct fake_queue *queue, const struct bfr_batch *batch)
{
    queue->host->batch_retain(queue->host, batch);
    queue->reserved_bytes -= (int64_t)batch->body_bytes;
    if (queue->reserved_bytes < queue->reserved_lowest)
        queue->reserved_lowest = queue->reserved_bytes;
    item_hold(queue, batch, false);
}

static void tell_ready(struct fake_queue *queue)
{
    if (!queue->quiet)
        queue->host->ready(queue->host);
}

static void put_one(struct fake_queue *queue, const struct bfr_delivery *delivery)
{
    uint32_t outcome = BFR_STORED;
    pthread_mutex_lock(&queue->lock);
    queue->taken++;
    enum fake_put mode = queue->put_mode;
    if (queue->put_outcome != 0 && queue->put_outcome != BFR_STORED) {
        outcome = queue->put_outcome;
        if (queue->put_failures > 0 && --queue->put_failures == 0)
            queue->put_outcome = 0;
    }
    if (mode == FAKE_PUT_HOLD || mode == FAKE_PUT_STORE_LATER)
        queue->open[queue->open_count++] = (struct fake_delivery){delivery->token, delivery->batch};
    if (outcome == BFR_STORED && mode != FAKE_PUT_HOLD)
        store(queue, delivery->batch);
    pthread_mutex_unlock(&queue->lock);
    if (mode == FAKE_PUT_STORE)
        complete_one(queue, delivery->token, outcome);
    if (mode != FAKE_PUT_HOLD)
        tell_ready(queue);
}

static size_t queue_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct fake_queue *queue = self;
    if (queue->put_mode == FAKE_PUT_BUSY)
        return 0;
    if (count > 0)
        atomic_store(&queue->last_put_flags, deliveries[0]->flags); // the same for all that one feeder puts
    for (size_t i = 0; i < count; i++)
        put_one(queue, deliveries[i]);
    return count;
}

size_t fake_queue_complete(struct fake_queue *queue, uint32_t outcome)
{
    struct fake_delivery open[256];
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->open_count;
    memcpy(open, queue->open, count * sizeof open[0]);
    queue->open_count = 0;
    for (size_t i = 0; i < count && outcome == BFR_STORED && queue->put_mode == FAKE_PUT_HOLD; i++)
        store(queue, open[i].batch);
    pthread_mutex_unlock(&queue->lock);

    struct bfr_completion completions[256];
    const struct bfr_completion *list[256];
    for (size_t i = 0; i < count; i++) {
        completions[i] = (struct bfr_completion){
            .size = sizeof completions[i], .outcome = outcome, .token = open[i].token, .text = "fake"};
        list[i] = &completions[i];
    }
    if (count > 0)
        queue->host->complete(queue->host, list, count);
    return count;
}

// --- lease

static bool part_due(const struct fake_part *part, bool probe, uint64_t now)
{
    return part->state == PART_WAITING && (probe || part->not_before_ns <= now);
}

// Was a batch of this tenant probed, and when last?
static uint64_t tenant_probed(const struct fake_queue *queue, const char *tenant)
{
    uint64_t last = 0;
    for (const struct fake_item *item = queue->items; item != NULL; item = item->next) {
        if (strcmp(item->batch->tenant, tenant) == 0 && item->probed > last)
            last = item->probed;
    }
    return last;
}

static struct fake_item *probe_pick(struct fake_queue *queue, uint32_t consumer)
{
    struct fake_item *best = NULL;
    for (struct fake_item *item = queue->items; item != NULL; item = item->next) {
        if (item->parts[consumer].state != PART_WAITING)
            continue;
        if (best == NULL || tenant_probed(queue, item->batch->tenant) < tenant_probed(queue, best->batch->tenant) ||
            (strcmp(item->batch->tenant, best->batch->tenant) == 0 && item->probed < best->probed))
            best = item;
    }
    if (best != NULL)
        best->probed = ++queue->probes;
    return best;
}

static uint32_t queue_lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                            uint64_t *out_next_ns)
{
    struct fake_queue *queue = self;
    bool probe = (request->flags & BFR_LEASE_PROBE) != 0;
    uint64_t now = queue->host->monotonic_ns(queue->host), next = UINT64_MAX;
    uint32_t count = 0;
    pthread_mutex_lock(&queue->lock);
    queue->lease_calls++;
    struct fake_item *picked = probe ? probe_pick(queue, request->consumer) : NULL;
    for (struct fake_item *item = queue->items; item != NULL && count < request->max_batches; item = item->next) {
        struct fake_part *part = &item->parts[request->consumer];
        if (probe && item != picked)
            continue;
        if (part_due(part, probe, now)) {
            part->state = PART_LEASED;
            out[count++] = &part->lease;
        } else if (part->state == PART_WAITING && part->not_before_ns < next) {
            next = part->not_before_ns;
        }
    }
    queue->leases += count;
    pthread_mutex_unlock(&queue->lock);
    *out_next_ns = next;
    return count;
}

static struct fake_part *part_of(struct bfr_lease *lease)
{
    struct fake_part *part = (struct fake_part *)lease;
    if (part->state != PART_LEASED)
        abort(); // ended twice, or never lent
    return part;
}

// Returns enum bfr_settled; a stored item leaves the list and is to be freed by the caller.
static uint32_t settle(struct fake_queue *queue, struct fake_item *item, struct fake_item **out_gone)
{
    bool buried = false;
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        if (item->parts[i].state < PART_CONFIRMED)
            return BFR_SETTLED_OPEN;
        buried |= item->parts[i].state == PART_BURIED;
    }
    if (buried) {
        item->buried = true;
        return BFR_SETTLED_BURIED;
    }
    struct fake_item **at = &queue->items;
    while (*at != item)
        at = &(*at)->next;
    *at = item->next;
    item->next = *out_gone;
    *out_gone = item;
    return BFR_SETTLED_STORED;
}

static void gone_free(struct fake_queue *queue, struct fake_item *gone)
{
    while (gone != NULL) {
        struct fake_item *item = gone;
        gone = item->next;
        queue->host->batch_release(queue->host, item->batch);
        free(item);
    }
}

static void queue_ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled)
{
    struct fake_queue *queue = self;
    struct fake_item *gone = NULL;
    (void)consumer;
    pthread_mutex_lock(&queue->lock);
    queue->acks += count;
    queue->ack_calls++;
    for (uint32_t i = 0; i < count; i++) {
        struct fake_part *part = part_of(leases[i]);
        part->state = PART_CONFIRMED;
        settled[i] = settle(queue, part->item, &gone);
    }
    pthread_mutex_unlock(&queue->lock);
    gone_free(queue, gone);
    tell_ready(queue);
}

static void note_text(struct fake_queue *queue, const char *text)
{
    strncpy(queue->last_text, text != NULL ? text : "", sizeof queue->last_text - 1);
}

static void item_failed(struct fake_queue *queue, struct fake_item *item)
{
    item->last_error_ns = queue->host->wall_ns(queue->host);
    if (item->first_error_ns == 0)
        item->first_error_ns = item->last_error_ns;
}

static void queue_nack(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                       const struct bfr_nack *const *nacks, uint32_t count)
{
    struct fake_queue *queue = self;
    (void)consumer;
    pthread_mutex_lock(&queue->lock);
    queue->nacks += count;
    for (uint32_t i = 0; i < count; i++) {
        struct fake_part *part = part_of(leases[i]);
        part->state = PART_WAITING;
        part->not_before_ns = nacks[i]->not_before_ns;
        part->lease.attempts = nacks[i]->attempts;
        if (nacks[i]->text != NULL)
            item_failed(queue, part->item);
        queue->last_not_before_ns = nacks[i]->not_before_ns;
        queue->last_attempts = nacks[i]->attempts;
        note_text(queue, nacks[i]->text);
    }
    pthread_mutex_unlock(&queue->lock);
}

static void queue_bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                       const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled)
{
    struct fake_queue *queue = self;
    struct fake_item *gone = NULL;
    (void)consumer;
    pthread_mutex_lock(&queue->lock);
    queue->burials += count;
    for (uint32_t i = 0; i < count; i++) {
        struct fake_part *part = part_of(leases[i]);
        part->state = PART_BURIED;
        part->item->reason = burials[i]->reason;
        item_failed(queue, part->item);
        queue->last_burial_reason = burials[i]->reason;
        queue->last_burial_attempts = burials[i]->attempts;
        note_text(queue, burials[i]->text);
        settled[i] = settle(queue, part->item, &gone);
    }
    pthread_mutex_unlock(&queue->lock);
    gone_free(queue, gone);
}

// --- figures and room

static void queue_stats(void *self, struct bfr_queue_stats *out)
{
    struct fake_queue *queue = self;
    pthread_mutex_lock(&queue->lock);
    for (const struct fake_item *item = queue->items; item != NULL; item = item->next) {
        uint64_t bytes = item->batch->body_bytes;
        *(item->buried ? &out->buried_batches : &out->held_batches) += 1;
        *(item->buried ? &out->buried_bytes : &out->held_bytes) += bytes;
        out->used_bytes += bytes;
        if (!item->buried && (out->oldest_received_ns == 0 || item->batch->received_ns < out->oldest_received_ns))
            out->oldest_received_ns = item->batch->received_ns;
    }
    out->limit_bytes = queue->limit_bytes;
    pthread_mutex_unlock(&queue->lock);
}

static uint32_t queue_reserve(void *self, const char *tenant, uint64_t bytes)
{
    struct fake_queue *queue = self;
    (void)tenant;
    pthread_mutex_lock(&queue->lock);
    bool fits = queue->limit_bytes == 0 || (uint64_t)queue->reserved_bytes + bytes <= queue->limit_bytes;
    if (fits)
        queue->reserved_bytes += (int64_t)bytes;
    pthread_mutex_unlock(&queue->lock);
    return fits ? BFR_ROOM_OK : BFR_ROOM_FULL;
}

static void queue_release(void *self, const char *tenant, uint64_t bytes)
{
    struct fake_queue *queue = self;
    (void)tenant;
    pthread_mutex_lock(&queue->lock);
    queue->reserved_bytes -= (int64_t)bytes;
    if (queue->reserved_bytes < queue->reserved_lowest)
        queue->reserved_lowest = queue->reserved_bytes;
    pthread_mutex_unlock(&queue->lock);
}

static uint32_t queue_letters(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                              bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct fake_queue *queue = self;
    uint32_t count = 0;
    (void)filter;
    (void)cursor;
    for (const struct fake_item *item = queue->items; item != NULL && count < limit; item = item->next) {
        const struct bfr_letter letter = {.size = sizeof letter,
                                          .reason = BFR_REASON_REJECTED,
                                          .id = "1",
                                          .tenant = item->batch->tenant,
                                          .dataset = item->batch->dataset,
                                          .filename = item->batch->filename};
        if (!item->buried)
            continue;
        count++;
        if (!visit(arg, &letter))
            break;
    }
    return count;
}

static bool redrive_wants(const struct bfr_filter *filter, const struct fake_item *item)
{
    return item->buried && (filter->reason == 0 || filter->reason == item->reason) &&
           item->first_error_ns >= filter->failed_from_ns &&
           (filter->failed_to_ns == 0 || item->last_error_ns <= filter->failed_to_ns) &&
           ((filter->flags & BFR_FILTER_ONCE) == 0 || !item->redriven);
}

// `moved` is called under the lock, so that nothing is lent before the host has it in its books.
static uint64_t queue_redrive(void *self, const struct bfr_filter *filter, bool dry_run,
                              void (*moved)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct fake_queue *queue = self;
    uint64_t count = 0;
    pthread_mutex_lock(&queue->lock);
    queue->redrives++;
    queue->last_filter = *filter;
    strncpy(queue->last_consumer, filter->consumer != NULL ? filter->consumer : "", sizeof queue->last_consumer - 1);
    for (struct fake_item *item = queue->items; item != NULL; item = item->next) {
        const struct bfr_letter letter = {.size = sizeof letter,
                                          .reason = item->reason,
                                          .id = "1",
                                          .tenant = item->batch->tenant,
                                          .dataset = item->batch->dataset,
                                          .filename = item->batch->filename,
                                          .body_bytes = item->batch->body_bytes};
        if (!redrive_wants(filter, item) || (filter->limit > 0 && count == filter->limit))
            continue;
        count++;
        if (dry_run)
            continue;
        moved(arg, &letter);
        item->buried = false;
        item->redriven |= (filter->flags & BFR_FILTER_ONCE) != 0;
        item->first_error_ns = item->last_error_ns = 0;
        for (uint32_t i = 0; i < queue->consumer_count; i++)
            if (item->parts[i].state == PART_BURIED)
                item->parts[i] = (struct fake_part){.lease = {.size = sizeof(struct bfr_lease), .batch = item->batch},
                                                    .item = item,
                                                    .state = PART_WAITING};
    }
    pthread_mutex_unlock(&queue->lock);
    if (count > 0 && !dry_run)
        tell_ready(queue);
    return count;
}

static void queue_recent(void *self, void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried),
                         void *arg)
{
    struct fake_queue *queue = self;
    for (size_t i = 0; i < queue->recovered_count; i++)
        visit(arg, &queue->recovered[i].recent, queue->recovered[i].held, queue->recovered[i].buried);
}

static uint64_t count_items(struct fake_queue *queue, bool (*counts)(const struct fake_item *item))
{
    uint64_t count = 0;
    pthread_mutex_lock(&queue->lock);
    for (const struct fake_item *item = queue->items; item != NULL; item = item->next)
        count += counts(item) ? 1 : 0;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

static bool item_held(const struct fake_item *item)
{
    return !item->buried;
}

static bool item_buried(const struct fake_item *item)
{
    return item->buried;
}

static bool item_leased(const struct fake_item *item)
{
    for (size_t i = 0; i < FAKE_CONSUMERS_MAX; i++) {
        if (item->parts[i].state == PART_LEASED)
            return true;
    }
    return false;
}

uint64_t fake_queue_held(struct fake_queue *queue)
{
    return count_items(queue, item_held);
}

uint64_t fake_queue_buried(struct fake_queue *queue)
{
    return count_items(queue, item_buried);
}

uint64_t fake_queue_leased(struct fake_queue *queue)
{
    return count_items(queue, item_leased);
}

// --- descriptors

static const struct bfr_life queue_life = {
    .size = sizeof queue_life,
    .create = queue_create,
    .start = queue_start,
    .drain = queue_drain,
    .stop = queue_stop,
    .destroy = queue_destroy,
};

#define QUEUE_SLOTS                                                                                                    \
    .size = sizeof(struct bfr_queue_vtable), .consumers = queue_consumers, .put = queue_put, .lease = queue_lease,     \
    .ack = queue_ack, .nack = queue_nack, .bury = queue_bury, .stats = queue_stats, .letters = queue_letters,          \
    .redrive = queue_redrive, .recent = queue_recent

static const struct bfr_queue_vtable rationed_vtable = {QUEUE_SLOTS, .reserve = queue_reserve,
                                                        .release = queue_release};
static const struct bfr_queue_vtable plain_vtable = {QUEUE_SLOTS};

#define DESCRIPTOR(the_name, the_flags, the_vtable)                                                                    \
    {                                                                                                                  \
        BFR_PLUGIN_HEAD, .kind = BFR_KIND_QUEUE, .name = the_name, .version = "1", .summary = "a queue for tests",     \
                         .life = &queue_life, .vtable = the_vtable, .flags = the_flags                                 \
    }

const struct bfr_plugin fake_queue_volatile = DESCRIPTOR("fake-volatile", BFR_FLAG_VOLATILE, &rationed_vtable);
const struct bfr_plugin fake_queue_stable = DESCRIPTOR("fake-stable", BFR_FLAG_STABLE, &rationed_vtable);
const struct bfr_plugin fake_queue_stable_unrationed = DESCRIPTOR("fake-plain", BFR_FLAG_STABLE, &plain_vtable);
