// SPDX-License-Identifier: Apache-2.0
// Room in the volatile queue: reservations and figures. Bodies of held batches, of dead letters and reserved bytes share
// one limit. Any thread; each call holds the mutex for a few additions.
#include "memory_queue.h"

static uint64_t used_bytes(const struct memory_queue *queue)
{
    return queue->held_bytes + queue->buried_bytes + queue->reserved_bytes;
}

static uint64_t free_bytes(const struct memory_queue *queue)
{
    uint64_t used = used_bytes(queue);
    return used < queue->limit_bytes ? queue->limit_bytes - used : 0;
}

bool bfr_memory_room_returned(struct memory_queue *queue)
{
    bool wanted = queue->refused;
    queue->refused = false;
    return wanted;
}

// The tenant does not matter: no tenant has a share of its own here, and what is reserved is soon put or released.
uint32_t bfr_memory_reserve(void *self, const char *tenant, uint64_t bytes)
{
    struct memory_queue *queue = self;
    (void)tenant;

    pthread_mutex_lock(&queue->mutex);
    bool fits = bytes <= free_bytes(queue);
    if (fits)
        queue->reserved_bytes += bytes;
    else
        queue->refused = true;
    pthread_mutex_unlock(&queue->mutex);
    return fits ? BFR_ROOM_OK : BFR_ROOM_FULL;
}

void bfr_memory_release(void *self, const char *tenant, uint64_t bytes)
{
    struct memory_queue *queue = self;
    (void)tenant;

    pthread_mutex_lock(&queue->mutex);
    queue->reserved_bytes -= bytes < queue->reserved_bytes ? bytes : queue->reserved_bytes;
    bool wake = bfr_memory_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);
    if (wake)
        queue->host->ready(queue->host);
}

// A reservation becomes a held body. Without one (the host reserves for every put) the body must find room by itself.
bool bfr_memory_take_room(struct memory_queue *queue, uint64_t bytes)
{
    uint64_t reserved = bytes < queue->reserved_bytes ? bytes : queue->reserved_bytes;

    if (bytes - reserved > free_bytes(queue)) {
        queue->refused = true;
        return false;
    }
    queue->reserved_bytes -= reserved;
    queue->held_bytes += bytes;
    queue->held_batches++;
    return true;
}

void bfr_memory_stats(void *self, struct bfr_queue_stats *out)
{
    struct memory_queue *queue = self;

    pthread_mutex_lock(&queue->mutex);
    out->held_batches = queue->held_batches;
    out->held_bytes = queue->held_bytes;
    out->buried_batches = queue->buried_batches;
    out->buried_bytes = queue->buried_bytes;
    out->limit_bytes = queue->limit_bytes;
    out->used_bytes = used_bytes(queue);
    if (!list_empty(&queue->held))
        out->oldest_received_ns = LIST_OWNER(queue->held.next, struct held, link)->batch->received_ns;
    pthread_mutex_unlock(&queue->mutex);
}
