// SPDX-License-Identifier: Apache-2.0
// The way in: a delivered batch becomes an entry that waits for the commit thread. Any thread; never touches the disk. All
// that can fail for lack of memory fails here, so that a batch that is on the disk is never given up for it.
#include "disk_put.h"

#include "disk_entry.h"

// What may wait for the disk; more is refused until some of it is there.
#define PENDING_BYTES_MAX (UINT64_C(64) << 20)
#define PENDING_COUNT_MAX 4096
#define TAKE_AT_ONCE      64

static struct disk_entry *make_entry(struct disk_queue *queue, const struct bfr_delivery *delivery)
{
    struct disk_entry *entry = bfr_disk_entry_new(queue);
    if (entry == NULL)
        return NULL;
    const struct bfr_batch *batch = delivery->batch;
    queue->host->batch_retain(queue->host, batch);
    entry->batch = batch;
    entry->token = delivery->token;
    entry->body_bytes = batch->body_bytes;
    entry->body_crc32c = batch->crc32c;
    entry->received_ns = batch->received_ns;
    bfr_disk_entry_open(queue, entry, queue->own_set, 0, 0);
    return entry;
}

// Behind the others that wait for the disk. The mutex is held.
static void append(struct disk_queue *queue, struct disk_entry *entry, uint64_t now_ns)
{
    if (queue->pending_first == NULL)
        queue->pending_since_ns = now_ns;
    queue->pending_count++;
    queue->pending_bytes += entry->body_bytes;
    entry->next = NULL;
    *queue->pending_last = entry;
    queue->pending_last = &entry->next;
}

// A disk that has just failed is left alone for a moment, and so is one that is behind. The mutex is held.
static bool has_room(const struct disk_queue *queue, uint64_t now_ns)
{
    if (queue->commit_stop || !queue->commit_runs || (queue->failing && now_ns < queue->retry_at_ns))
        return false;
    return queue->pending_count < PENDING_COUNT_MAX && queue->pending_bytes < PENDING_BYTES_MAX;
}

static bool is_awaited(const struct bfr_delivery *delivery)
{
    return BFR_HAS(delivery, flags) && (delivery->flags & BFR_DELIVERY_AWAITED) != 0;
}

static size_t put_some(struct disk_queue *queue, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct disk_entry *made[TAKE_AT_ONCE];
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    size_t ready = 0, taken = 0;

    while (ready < count && (made[ready] = make_entry(queue, deliveries[ready])) != NULL)
        ready++;
    pthread_mutex_lock(&queue->mutex);
    while (taken < ready && has_room(queue, now_ns) &&
           bfr_disk_entry_enter(queue, made[taken], made[taken]->batch->tenant, LANE_FRESH)) {
        queue->pending_awaited |= is_awaited(deliveries[taken]);
        append(queue, made[taken++], now_ns);
    }
    if (taken < count)
        queue->refused = true;
    if (taken > 0)
        pthread_cond_signal(&queue->commit_wanted);
    pthread_mutex_unlock(&queue->mutex);
    for (size_t i = taken; i < ready; i++)
        bfr_disk_entry_free(queue, made[i]);
    return taken;
}

size_t bfr_disk_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    size_t done = 0;

    while (done < count) {
        size_t wanted = count - done < TAKE_AT_ONCE ? count - done : TAKE_AT_ONCE;
        size_t taken = put_some(self, deliveries + done, wanted);
        done += taken;
        if (taken < wanted)
            break;
    }
    return done;
}

bool bfr_disk_put_errand(struct disk_queue *queue, struct disk_entry *entry, struct disk_errand *errand)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);

    pthread_mutex_lock(&queue->mutex);
    bool good = queue->commit_runs && !queue->commit_stop &&
                bfr_disk_entry_enter(queue, entry, entry->batch->tenant, entry->lane);
    if (good) {
        entry->errand = errand;
        errand->open++;
        queue->pending_awaited = true;
        append(queue, entry, now_ns);
        pthread_cond_signal(&queue->commit_wanted);
    }
    pthread_mutex_unlock(&queue->mutex);
    return good;
}

bool bfr_disk_errand_wait(struct disk_queue *queue, struct disk_errand *errand)
{
    pthread_mutex_lock(&queue->mutex);
    while (errand->open > 0)
        pthread_cond_wait(&queue->commit_done, &queue->mutex);
    bool good = errand->failed == 0;
    pthread_mutex_unlock(&queue->mutex);
    return good;
}
