// SPDX-License-Identifier: Apache-2.0
// How leases end: ack, nack, bury; and giving up copies in RAM. Any thread; list work under the mutex, a mark into the
// segment's buffer, nothing that waits for the disk. Batches are released after the mutex.
#include <bfr/text.h>

#include "disk_entry.h"
#include "disk_lease.h"
#include "disk_room.h"

#define EVICT_AT_ONCE 64

// What the host holds is the first member of what we hold.
static struct disk_claim *claim_of(struct bfr_lease *lease)
{
    return LIST_OWNER(lease, struct disk_claim, lease);
}

// A lease that ends twice is the host's bug. The batch itself is unharmed: say so and go on.
static void log_not_leased(const struct disk_queue *queue, uint32_t count)
{
    if (count > 0)
        bfr_log(queue->host, BFR_LOG_ERROR, "leases ended that were not open; please report this", "count",
                bfr_num(count).text, NULL);
}

static uint8_t number_of(const struct disk_claim *claim)
{
    return claim->entry->set->number_of[bfr_disk_consumer_of(claim)];
}

// Is it wanted only by consumers that are not configured? Then it is kept on the disk, and not in RAM.
static bool served_done(const struct disk_entry *entry)
{
    return (entry->set->served & ~(entry->confirmed | entry->buried)) == 0;
}

// Some consumer is done. What that makes of the batch.
static uint32_t settle(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain)
{
    uint32_t result = bfr_settle_result(&entry->settle);
    if (result == BFR_SETTLED_STORED) {
        bfr_disk_entry_end(queue, entry, chain);
    } else if (result == BFR_SETTLED_BURIED) {
        bfr_disk_entry_bury(queue, entry);
    } else if (served_done(entry)) {
        entry->segment->parked++;
        bfr_disk_entry_unload(queue, entry, chain);
    } else if (entry->read_back && entry->settle.leased == 0) {
        entry->read_back = false; // for the other consumers, unless the room is needed
        bfr_disk_copy_keep(queue, entry);
    }
    return result;
}

uint32_t bfr_disk_confirm_claim(struct disk_queue *queue, struct disk_claim *claim, struct disk_entry **chain)
{
    struct disk_entry *entry = claim->entry;
    uint8_t number = number_of(claim);
    if (!bfr_settle_confirm(&entry->settle, &claim->state))
        return 0;
    entry->confirmed |= UINT32_C(1) << number;
    bfr_disk_mark(queue, entry, number, MARK_CONFIRMED, 0);
    return settle(queue, entry, chain);
}

uint32_t bfr_disk_bury_claim(struct disk_queue *queue, struct disk_claim *claim, const struct bfr_burial *burial,
                             int64_t wall_ns, struct disk_entry **chain)
{
    struct disk_entry *entry = claim->entry;
    uint8_t number = number_of(claim);
    if (!bfr_settle_bury(&entry->settle, &claim->state))
        return 0;
    entry->buried |= UINT32_C(1) << number;
    bfr_trouble_add(&entry->trouble, burial->attempts, burial->text, wall_ns);
    bfr_trouble_bury(&entry->trouble, burial->reason);
    bfr_disk_mark(queue, entry, number, MARK_BURIED, (burial->reason & 0xff) | burial->attempts << 8);
    return settle(queue, entry, chain);
}

void bfr_disk_give_back_claim(struct disk_queue *queue, struct disk_claim *claim, uint64_t not_before_ns)
{
    struct disk_entry *entry = claim->entry;
    (void)bfr_settle_give_back(&entry->settle, &claim->state);
    bfr_backlog_give_back(bfr_disk_backlog(queue, bfr_disk_consumer_of(claim), entry->lane), &claim->waiting,
                          not_before_ns);
}

void bfr_disk_ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled)
{
    struct disk_queue *queue = self;
    struct disk_entry *chain = NULL;
    uint32_t strays = 0;
    (void)consumer; // the lease knows

    pthread_mutex_lock(&queue->mutex);
    for (uint32_t i = 0; i < count; i++) {
        settled[i] = bfr_disk_confirm_claim(queue, claim_of(leases[i]), &chain);
        if (settled[i] == 0) {
            settled[i] = BFR_SETTLED_OPEN;
            strays++;
        }
    }
    // With shares, room comes back with every batch; else with its segment, and the keeper tells.
    bool wake = chain != NULL && queue->options.tenant_share < 1.0 && bfr_disk_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);

    log_not_leased(queue, strays);
    bfr_disk_entries_free(queue, chain);
    if (wake)
        queue->host->ready(queue->host);
}

void bfr_disk_nack(void *self, uint32_t consumer, struct bfr_lease *const *leases, const struct bfr_nack *const *nacks,
                   uint32_t count)
{
    struct disk_queue *queue = self;
    int64_t wall_ns = queue->host->wall_ns(queue->host);
    uint32_t strays = 0;
    (void)consumer;

    // From the last to the first: those that go back in front of the line keep their order.
    for (uint32_t i = count; i-- > 0;) {
        struct disk_claim *claim = claim_of(leases[i]);
        const struct bfr_batch *copy = NULL;
        pthread_mutex_lock(&queue->mutex);
        struct disk_entry *entry = claim->entry;
        if (claim->state != CLAIM_LEASED) {
            strays++;
        } else {
            claim->lease.attempts = nacks[i]->attempts;
            if (nacks[i]->text != NULL)
                bfr_trouble_add(&entry->trouble, nacks[i]->attempts, nacks[i]->text, wall_ns);
            bfr_disk_give_back_claim(queue, claim, nacks[i]->not_before_ns);
            if (entry->read_back)
                copy = bfr_disk_copy_take(queue, entry);
        }
        pthread_mutex_unlock(&queue->mutex);
        if (copy != NULL)
            queue->host->batch_release(queue->host, copy);
    }
    log_not_leased(queue, strays);
    queue->host->ready(queue->host); // leasable now, or sooner than the pump believes
}

void bfr_disk_bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                   const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled)
{
    struct disk_queue *queue = self;
    int64_t wall_ns = queue->host->wall_ns(queue->host);
    struct disk_entry *chain = NULL;
    uint32_t strays = 0;
    (void)consumer; // the lease knows

    pthread_mutex_lock(&queue->mutex);
    for (uint32_t i = 0; i < count; i++) {
        settled[i] = bfr_disk_bury_claim(queue, claim_of(leases[i]), burials[i], wall_ns, &chain);
        if (settled[i] == 0) {
            settled[i] = BFR_SETTLED_OPEN;
            strays++;
        }
    }
    pthread_mutex_unlock(&queue->mutex);
    log_not_leased(queue, strays);
    bfr_disk_entries_free(queue, chain);
}

// Up to EVICT_AT_ONCE copies, oldest first; `budget` moves down by their bytes. The mutex is held.
static size_t take_copies(struct disk_queue *queue, uint64_t *budget, const struct bfr_batch **out)
{
    size_t count = 0;
    struct list *next;
    for (struct list *node = queue->copies.next; node != &queue->copies; node = next) {
        struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, copy);
        next = node->next;
        if (*budget == 0 || count == EVICT_AT_ONCE)
            break;
        const struct bfr_batch *batch = bfr_disk_copy_take(queue, entry);
        if (batch == NULL)
            continue;
        out[count++] = batch;
        *budget -= batch->body_bytes < *budget ? batch->body_bytes : *budget;
    }
    return count;
}

uint64_t bfr_disk_evict(void *self, uint64_t bytes)
{
    struct disk_queue *queue = self;
    const struct bfr_batch *taken[EVICT_AT_ONCE];
    uint64_t let_go = 0;
    size_t count;

    do {
        pthread_mutex_lock(&queue->mutex);
        count = take_copies(queue, &bytes, taken);
        pthread_mutex_unlock(&queue->mutex);
        for (size_t i = 0; i < count; i++) {
            let_go += taken[i]->body_bytes;
            queue->host->batch_release(queue->host, taken[i]);
        }
    } while (count == EVICT_AT_ONCE);
    return let_go;
}
