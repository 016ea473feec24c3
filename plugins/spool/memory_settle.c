// SPDX-License-Identifier: Apache-2.0
// How leases of the volatile queue end: ack, nack, bury. Any thread. What is settled leaves the lists under the mutex
// and is released after it, so that freeing a body never holds up the others.
#include "memory_queue.h"

#include <bfr/text.h>

// What the host holds is the first member of what we hold.
static struct claim *claim_of(struct bfr_lease *lease)
{
    return LIST_OWNER(lease, struct claim, lease);
}

// A lease that ends twice is the host's bug. The batch itself is unharmed: say so and go on.
static void log_not_leased(const struct memory_queue *queue, uint32_t count)
{
    if (count > 0)
        bfr_log(queue->host, BFR_LOG_ERROR, "leases ended that were not open; please report this", "count",
                bfr_num(count).text, NULL);
}

static void uncount_held(struct memory_queue *queue, const struct held *held)
{
    queue->held_batches--;
    queue->held_bytes -= held->batch->body_bytes;
}

// The mutex is held by the caller in all of these.
static void move_to_forgotten(struct memory_queue *queue, struct held *held, struct list *forgotten)
{
    list_remove(&held->link);
    uncount_held(queue, held);
    bfr_tenants_drop(&queue->tenants, held->tenant);
    list_push_tail(forgotten, &held->link);
}

// A letter from now on, in the order of burial.
static void move_to_letters(struct memory_queue *queue, struct held *held)
{
    list_remove(&held->link);
    uncount_held(queue, held);
    held->sequence = ++queue->sequence;
    queue->buried_batches++;
    queue->buried_bytes += held->batch->body_bytes;
    list_push_tail(&queue->letters, &held->link);
}

static uint32_t settle_if_done(struct memory_queue *queue, struct held *held, struct list *forgotten)
{
    uint32_t result = bfr_settle_result(&held->settle);

    if (result == BFR_SETTLED_STORED)
        move_to_forgotten(queue, held, forgotten);
    else if (result == BFR_SETTLED_BURIED)
        move_to_letters(queue, held);
    return result;
}

void bfr_memory_ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled)
{
    struct memory_queue *queue = self;
    struct list forgotten;
    uint32_t strays = 0;
    bool wake = false;
    (void)consumer; // the lease knows

    list_init(&forgotten);
    pthread_mutex_lock(&queue->mutex);
    for (uint32_t i = 0; i < count; i++) {
        struct claim *claim = claim_of(leases[i]);
        settled[i] = BFR_SETTLED_OPEN;
        if (bfr_settle_confirm(&claim->held->settle, &claim->state))
            settled[i] = settle_if_done(queue, claim->held, &forgotten);
        else
            strays++;
    }
    if (!list_empty(&forgotten))
        wake = bfr_memory_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);

    log_not_leased(queue, strays);
    bfr_memory_forget_all(queue, &forgotten);
    if (wake)
        queue->host->ready(queue->host);
}

void bfr_memory_nack(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                     const struct bfr_nack *const *nacks, uint32_t count)
{
    struct memory_queue *queue = self;
    int64_t wall_ns = queue->host->wall_ns(queue->host);
    uint32_t strays = 0;

    pthread_mutex_lock(&queue->mutex);
    // From the last to the first: those that go back in front of the line keep their order.
    for (uint32_t i = count; i-- > 0;) {
        struct claim *claim = claim_of(leases[i]);
        if (!bfr_settle_give_back(&claim->held->settle, &claim->state)) {
            strays++;
            continue;
        }
        claim->lease.attempts = nacks[i]->attempts;
        if (nacks[i]->text != NULL)
            bfr_trouble_add(&claim->held->trouble, nacks[i]->attempts, nacks[i]->text, wall_ns);
        bfr_backlog_give_back(&queue->backlogs[consumer], &claim->waiting, nacks[i]->not_before_ns);
    }
    pthread_mutex_unlock(&queue->mutex);

    log_not_leased(queue, strays);
    queue->host->ready(queue->host); // leasable now, or sooner than the pump believes
}

void bfr_memory_bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                     const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled)
{
    struct memory_queue *queue = self;
    int64_t wall_ns = queue->host->wall_ns(queue->host);
    uint32_t strays = 0;
    (void)consumer; // the lease knows

    pthread_mutex_lock(&queue->mutex);
    for (uint32_t i = 0; i < count; i++) {
        struct claim *claim = claim_of(leases[i]);
        settled[i] = BFR_SETTLED_OPEN;
        if (!bfr_settle_bury(&claim->held->settle, &claim->state)) {
            strays++;
            continue;
        }
        bfr_trouble_add(&claim->held->trouble, burials[i]->attempts, burials[i]->text, wall_ns);
        bfr_trouble_bury(&claim->held->trouble, burials[i]->reason);
        settled[i] = bfr_settle_result(&claim->held->settle);
        if (settled[i] == BFR_SETTLED_BURIED)
            move_to_letters(queue, claim->held);
    }
    pthread_mutex_unlock(&queue->mutex);
    log_not_leased(queue, strays);
}
