// SPDX-License-Identifier: Apache-2.0
// Admission and figures of the disk queue. Any thread; each call holds the mutex for a few additions and never touches the
// disk. One segment of slack is kept out of what is promised: it pays for the end of a segment where the next record does
// not fit, and for a batch that is put without a reservation. A second one is, where the file system has no holes, for
// moving what is left in old segments.
#include "disk_room.h"

#include <string.h>

#define BLOCK_BYTES UINT64_C(4096)
// What a batch takes beside its body: header, envelope and padding of its record; and outside of the segment its marks, its
// share of the index, and its entry in recent.log. Until it is written this is an estimate; then it is counted.
#define RECORD_COST_BYTES 1024u
#define SIDE_COST_BYTES   640u
#define LETTER_COST_BYTES UINT64_C(8192)       // of two files beside the body
#define STEP_BYTES        (UINT64_C(64) << 10) // in which room for a body of unknown length is reserved
#define INDEX_HEAD_BYTES  4096u                // header, sets, CRC
#define INDEX_RECORD      56u

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t bfr_disk_blocks(uint64_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
}

uint64_t bfr_disk_letter_blocks(uint64_t body_bytes)
{
    return bfr_disk_blocks(body_bytes) + LETTER_COST_BYTES;
}

double bfr_disk_letters_share(const struct disk_queue *queue)
{
    return queue->options.dlq_max_share * (double)queue->options.max_size_bytes;
}

bool bfr_disk_letters_fit(const struct disk_queue *queue, uint64_t bytes)
{
    return queue->letters_bytes + bytes <= (uint64_t)bfr_disk_letters_share(queue);
}

uint64_t bfr_disk_used(const struct disk_queue *queue)
{
    return queue->segments_bytes + queue->spares_bytes + queue->side_bytes + queue->letters_bytes + queue->aside_bytes +
           queue->recent_bytes + queue->fixed_bytes;
}

uint64_t bfr_disk_outside(const struct disk_queue *queue)
{
    return minus(queue->options.max_size_bytes, bfr_disk_used(queue));
}

uint64_t bfr_disk_new_side(uint64_t segment_bytes)
{
    return bfr_disk_blocks(segment_bytes / MARKS_SHARE) + bfr_disk_blocks(INDEX_HEAD_BYTES);
}

// --- marks and indexes

static void side_set(struct disk_queue *queue, struct disk_segment *segment)
{
    queue->side_bytes -= segment->side_bytes;
    segment->side_bytes = bfr_disk_blocks(segment->marks_bytes) + bfr_disk_blocks(segment->index_bytes);
    queue->side_bytes += segment->side_bytes;
}

// Each consumer may bury it and get it back; then once more for all of them.
static uint64_t marks_for(uint64_t records, uint32_t consumers)
{
    return records * (consumers + 1) * MARK_BYTES;
}

void bfr_disk_side_new(struct disk_queue *queue, struct disk_segment *segment)
{
    segment->marks_bytes = segment->file.file_bytes / MARKS_SHARE;
    segment->index_bytes = INDEX_HEAD_BYTES;
    side_set(queue, segment);
}

void bfr_disk_side_grow(struct disk_queue *queue, struct disk_segment *segment, struct disk_entry *const *entries,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        segment->index_bytes += INDEX_RECORD + strlen(entries[i]->tenant->name) + 1;
    uint64_t marks = marks_for(segment->records, queue->consumer_count);
    segment->marks_bytes = marks > segment->marks_bytes ? marks : segment->marks_bytes;
    side_set(queue, segment);
}

void bfr_disk_side_found(struct disk_queue *queue, struct disk_segment *segment, uint64_t marks, uint64_t index,
                         uint64_t live)
{
    segment->marks_bytes = marks + marks_for(live, queue->consumer_count);
    segment->index_bytes = index;
    side_set(queue, segment);
}

void bfr_disk_side_indexed(struct disk_queue *queue, struct disk_segment *segment, uint64_t index)
{
    segment->index_bytes = index;
    side_set(queue, segment);
}

void bfr_disk_side_forget(struct disk_queue *queue, struct disk_segment *segment)
{
    queue->side_bytes -= segment->side_bytes;
    segment->side_bytes = 0;
}

// --- admission

// What is left of the segment that is being written: part of what is used, and free all the same.
static uint64_t rest_of_current(const struct disk_queue *queue)
{
    return queue->current == NULL ? 0 : minus(queue->current->file.file_bytes, queue->current->file.end_bytes);
}

// How often room for that much was asked for, when the length was not known, or once.
static uint64_t calls_for(uint64_t bytes)
{
    return bytes == 0 ? 1 : (bytes + STEP_BYTES - 1) / STEP_BYTES;
}

// A disk that has just refused a write is asked again by one batch now and then, not by all of them.
static bool fits(const struct disk_queue *queue, uint64_t bytes)
{
    if (queue->failing && queue->host->monotonic_ns(queue->host) < queue->retry_at_ns)
        return false;
    uint64_t calls = queue->reserved_calls + calls_for(bytes);
    uint64_t beside = calls * SIDE_COST_BYTES + bfr_disk_new_side(queue->options.segment_bytes);
    uint64_t wanted = queue->reserved_bytes + bytes + calls * RECORD_COST_BYTES;
    uint64_t inside = rest_of_current(queue) + queue->spares_bytes; // on the file system already
    uint64_t outside = bfr_disk_outside(queue);
    uint64_t slack = queue->options.segment_bytes * (queue->punch_unsupported ? 2 : 1);
    if (beside > outside || wanted + beside > minus(outside + inside, slack))
        return false;
    if (wanted <= inside)
        return queue->free_bytes >= queue->options.min_free_bytes + beside;
    // What is not there yet comes by whole segments.
    uint64_t more = wanted - inside;
    more = more > queue->options.segment_bytes ? more : queue->options.segment_bytes;
    return queue->free_bytes >= queue->options.min_free_bytes + more + beside;
}

bool bfr_disk_room_returned(struct disk_queue *queue)
{
    bool wanted = queue->refused;
    queue->refused = false;
    return wanted;
}

static bool shares_count(const struct disk_queue *queue)
{
    return queue->options.tenant_share < 1.0;
}

// A tenant's entry stays in the table for as long as it uses anything.
static void share_change(struct disk_queue *queue, struct tenant *tenant, uint64_t held, uint64_t reserved)
{
    bool used = tenant->held_bytes + tenant->reserved_bytes > 0;
    tenant->held_bytes = held;
    tenant->reserved_bytes = reserved;
    bool uses = held + reserved > 0;
    if (uses && !used)
        tenant->batches++;
    if (!uses && used)
        bfr_tenants_drop(&queue->tenants, tenant);
}

void bfr_disk_share_add(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes)
{
    if (shares_count(queue))
        share_change(queue, tenant, tenant->held_bytes + bytes, tenant->reserved_bytes);
}

void bfr_disk_share_remove(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes)
{
    if (shares_count(queue))
        share_change(queue, tenant, minus(tenant->held_bytes, bytes), tenant->reserved_bytes);
}

// True when the tenant may have that much more; it is written down then. Without a share nobody's entry is touched.
static uint32_t reserve_share(struct disk_queue *queue, const char *name, uint64_t bytes)
{
    if (!shares_count(queue))
        return BFR_ROOM_OK;
    uint64_t share = (uint64_t)(queue->options.tenant_share * (double)queue->options.max_size_bytes);
    struct tenant *tenant = bfr_tenants_hold(&queue->tenants, name);
    if (tenant == NULL)
        return BFR_ROOM_FULL; // memory is short: later
    uint32_t room = tenant->held_bytes + tenant->reserved_bytes + bytes > share ? BFR_ROOM_SHARE : BFR_ROOM_OK;
    if (room == BFR_ROOM_OK)
        share_change(queue, tenant, tenant->held_bytes, tenant->reserved_bytes + bytes);
    bfr_tenants_drop(&queue->tenants, tenant);
    return room;
}

uint32_t bfr_disk_reserve(void *self, const char *tenant, uint64_t bytes)
{
    struct disk_queue *queue = self;

    pthread_mutex_lock(&queue->mutex);
    uint32_t room = fits(queue, bytes) ? reserve_share(queue, tenant, bytes) : BFR_ROOM_FULL;
    if (room == BFR_ROOM_OK) {
        queue->reserved_bytes += bytes;
        queue->reserved_calls += calls_for(bytes);
    } else {
        queue->refused = true;
        queue->keeper_poke = true; // settled segments may be waiting for their marks to be written
        pthread_cond_signal(&queue->keeper_wanted);
    }
    pthread_mutex_unlock(&queue->mutex);
    return room;
}

// In the steps it was asked for in, as far as that can be known: when nothing is reserved any more, nothing is.
static void give_back(struct disk_queue *queue, uint64_t bytes)
{
    queue->reserved_bytes = minus(queue->reserved_bytes, bytes);
    queue->reserved_calls = queue->reserved_bytes == 0 ? 0 : minus(queue->reserved_calls, calls_for(bytes));
}

void bfr_disk_release(void *self, const char *tenant, uint64_t bytes)
{
    struct disk_queue *queue = self;

    pthread_mutex_lock(&queue->mutex);
    give_back(queue, bytes);
    if (shares_count(queue)) {
        struct tenant *entry = bfr_tenants_hold(&queue->tenants, tenant);
        if (entry != NULL) {
            share_change(queue, entry, entry->held_bytes, minus(entry->reserved_bytes, bytes));
            bfr_tenants_drop(&queue->tenants, entry);
        }
    }
    bool wake = bfr_disk_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);
    if (wake)
        queue->host->ready(queue->host);
}

void bfr_disk_room_promise(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes)
{
    pthread_mutex_lock(&queue->mutex);
    queue->reserved_bytes += bytes;
    queue->reserved_calls += calls_for(bytes);
    if (shares_count(queue))
        share_change(queue, tenant, tenant->held_bytes, tenant->reserved_bytes + bytes);
    pthread_mutex_unlock(&queue->mutex);
}

void bfr_disk_room_consume(struct disk_queue *queue, struct tenant *tenant, uint64_t bytes)
{
    give_back(queue, bytes);
    if (shares_count(queue))
        share_change(queue, tenant, tenant->held_bytes, minus(tenant->reserved_bytes, bytes));
}

// When the oldest held batch was received; segments are in order of time, and so are the records in them.
static int64_t oldest_received(const struct disk_queue *queue)
{
    for (const struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        const struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (segment->live == 0)
            continue;
        if (segment->resident && segment->parked == 0 && !list_empty(&segment->entries))
            return LIST_OWNER(segment->entries.next, struct disk_entry, link)->received_ns;
        return segment->oldest_ns;
    }
    return 0;
}

void bfr_disk_stats(void *self, struct bfr_queue_stats *out)
{
    struct disk_queue *queue = self;

    pthread_mutex_lock(&queue->mutex);
    out->held_batches = queue->held_batches;
    out->held_bytes = queue->held_bytes;
    out->buried_batches = queue->buried_batches;
    out->buried_bytes = queue->buried_bytes;
    out->limit_bytes = queue->options.max_size_bytes;
    out->used_bytes = bfr_disk_used(queue) - rest_of_current(queue) - queue->spares_bytes + queue->reserved_bytes +
                      queue->reserved_calls * (RECORD_COST_BYTES + SIDE_COST_BYTES);
    out->oldest_received_ns = queue->held_batches > 0 ? oldest_received(queue) : 0;
    out->free_bytes = queue->free_bytes;
    out->full_seconds = queue->figures.full_seconds;
    pthread_mutex_unlock(&queue->mutex);
}
