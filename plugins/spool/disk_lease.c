// SPDX-License-Identifier: Apache-2.0
// Lending: who is next under the mutex, then, without it, reading back what is not in RAM. Pump threads. What cannot be
// read does not hold up the others: damage becomes a dead letter, a disk that does not answer puts the batch off.
#include "disk_lease.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <bfr/text.h>

#include "disk_entry.h"
#include "disk_read.h"

#define READ_AGAIN_NS   (10 * DISK_NS_PER_S)
#define MEMORY_AGAIN_NS (100 * DISK_NS_PER_MS)
#define SERVED_HALVE    (UINT64_C(1) << 30)

// --- who is next

// Which lane comes first: by bytes, so that each gets its share while both have something.
static uint8_t lane_first(const struct disk_queue *queue, uint32_t consumer)
{
    const uint64_t *served = &queue->served_bytes[(size_t)consumer * LANE_COUNT];
    double share = queue->options.fresh_share;
    bool fresh = (double)served[LANE_FRESH] * (1.0 - share) <= (double)served[LANE_AGED] * share;
    return fresh ? LANE_FRESH : LANE_AGED;
}

static bool lane_is_ready(struct disk_queue *queue, uint32_t consumer, uint8_t lane)
{
    return !list_empty(&bfr_disk_backlog(queue, consumer, lane)->fair.ready_lanes);
}

// A lane that had nothing to lend saves nothing up for later: turns are counted only while both want some.
static void count_served(struct disk_queue *queue, uint32_t consumer, uint8_t lane, uint64_t bytes)
{
    uint64_t *served = &queue->served_bytes[(size_t)consumer * LANE_COUNT];
    if (!lane_is_ready(queue, consumer, lane == LANE_FRESH ? LANE_AGED : LANE_FRESH)) {
        served[LANE_FRESH] = served[LANE_AGED] = 0;
        return;
    }
    served[lane] += bytes;
    if (served[lane] > SERVED_HALVE) {
        served[LANE_FRESH] /= 2;
        served[LANE_AGED] /= 2;
    }
}

static struct disk_claim *next_claim(struct disk_queue *queue, const struct bfr_lease_request *request,
                                     uint64_t max_bytes)
{
    bool probe = (request->flags & BFR_LEASE_PROBE) != 0;
    uint8_t first = lane_first(queue, request->consumer);
    for (unsigned i = 0; i < LANE_COUNT; i++) {
        uint8_t lane = i == 0 ? first : first == LANE_FRESH ? LANE_AGED : LANE_FRESH;
        struct backlog *backlog = bfr_disk_backlog(queue, request->consumer, lane);
        struct backlog_entry *entry = probe ? bfr_backlog_probe(backlog) : bfr_backlog_take(backlog, max_bytes);
        if (entry == NULL)
            continue;
        struct disk_claim *claim = LIST_OWNER(entry, struct disk_claim, waiting);
        count_served(queue, request->consumer, lane, claim->entry->body_bytes);
        return claim;
    }
    return NULL;
}

static void lend(struct disk_claim *claim)
{
    struct disk_entry *entry = claim->entry;
    (void)bfr_settle_lease(&entry->settle, &claim->state);
    claim->lease.batch = entry->batch;
    if (entry->batch == NULL)
        entry->segment->pins++;
}

static uint32_t choose(struct disk_queue *queue, const struct bfr_lease_request *request, uint64_t now_ns,
                       struct bfr_lease **out, uint64_t *out_next_ns)
{
    uint64_t room = UINT64_MAX, bytes = 0; // the first one may be of any size
    uint32_t count = 0;
    struct disk_claim *claim;

    bfr_backlog_wake(bfr_disk_backlog(queue, request->consumer, LANE_FRESH), now_ns);
    bfr_backlog_wake(bfr_disk_backlog(queue, request->consumer, LANE_AGED), now_ns);
    while (count < request->max_batches && (claim = next_claim(queue, request, room)) != NULL) {
        lend(claim);
        out[count++] = &claim->lease;
        bytes += claim->entry->body_bytes;
        if (bytes >= request->max_bytes)
            break;
        room = request->max_bytes - bytes;
    }
    uint64_t fresh = bfr_backlog_next_ns(bfr_disk_backlog(queue, request->consumer, LANE_FRESH));
    uint64_t aged = bfr_backlog_next_ns(bfr_disk_backlog(queue, request->consumer, LANE_AGED));
    *out_next_ns = fresh < aged ? fresh : aged;
    return count;
}

// --- reading back

static void log_read(const struct disk_queue *queue, const struct disk_entry *entry, const char *message,
                     const char *reason)
{
    char segment[SEGMENT_NAME_SIZE];
    bfr_segment_name(entry->segment->file.id, "seg", segment);
    bfr_log(queue->host, BFR_LOG_ERROR, message, "segment", segment, "offset", bfr_num((int64_t)entry->offset).text,
            "tenant", entry->tenant->name, "reason", reason, NULL);
}

// What it costs to have a damaged record: this batch, which becomes a dead letter with whatever is left of it.
static uint32_t bury_damaged(struct disk_queue *queue, struct disk_claim *claim, struct disk_entry **chain)
{
    struct disk_entry *entry = claim->entry;
    char text[128], segment[SEGMENT_NAME_SIZE];
    bfr_segment_name(entry->segment->file.id, "seg", segment);
    snprintf(text, sizeof text, "the record at offset %" PRIu64 " of segment %s does not check", entry->offset,
             segment);
    const struct bfr_burial burial = {.size = sizeof burial, .reason = BFR_REASON_DAMAGED, .text = text};
    return bfr_disk_bury_claim(queue, claim, &burial, queue->host->wall_ns(queue->host), chain);
}

// Its mark was lost after its space had been given back: what a hole says counts as much as a mark.
static bool purge_hole(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain)
{
    if (entry->settle.leased > 0)
        return false; // another consumer has a copy; it will come here again
    bfr_disk_entry_purge(queue, entry, chain);
    return true;
}

// What to tell the host's books afterwards.
struct booking {
    uint32_t entry; // enum bfr_account_entry; 0: nothing
    char tenant[BFR_ID_MAX + 1];
    uint64_t bytes;
};

static void note_booking(struct booking *booking, uint32_t account, const struct disk_entry *entry)
{
    booking->entry = account;
    booking->bytes = entry->body_bytes;
    snprintf(booking->tenant, sizeof booking->tenant, "%s", entry->tenant->name);
}

// The batch is there: for this claim, and as the entry's copy unless another consumer's thread was faster. Returns a
// reference to give back, or NULL.
static const struct bfr_batch *take_batch(struct disk_entry *entry, struct disk_claim *claim,
                                          const struct bfr_batch *batch)
{
    const struct bfr_batch *spare = NULL;
    if (entry->batch == NULL) {
        entry->batch = batch;
        entry->read_back = true;
    } else {
        spare = batch;
    }
    claim->lease.batch = entry->batch;
    return spare;
}

// A claim whose batch could not be had. The mutex is held.
static void end_unread(struct disk_queue *queue, struct disk_claim *claim, enum disk_read result, uint64_t now_ns,
                       struct booking *booking, struct disk_entry **chain)
{
    struct disk_entry *entry = claim->entry;
    switch (result) {
    case DISK_READ_DAMAGED:
        note_booking(booking, BFR_ACCOUNT_BURIED, entry);
        if (bury_damaged(queue, claim, chain) != BFR_SETTLED_BURIED)
            booking->entry = 0;
        break;
    case DISK_READ_HOLE:
        note_booking(booking, BFR_ACCOUNT_PURGED_HELD, entry);
        bfr_disk_give_back_claim(queue, claim, now_ns + MEMORY_AGAIN_NS);
        if (!purge_hole(queue, entry, chain))
            booking->entry = 0;
        break;
    case DISK_READ_ERROR:
        bfr_disk_give_back_claim(queue, claim, now_ns + READ_AGAIN_NS);
        break;
    default:
        bfr_disk_give_back_claim(queue, claim, now_ns + MEMORY_AGAIN_NS);
        break;
    }
}

static bool read_claim(struct disk_queue *queue, struct disk_claim *claim)
{
    struct disk_entry *entry = claim->entry, *chain = NULL;
    const struct disk_place place = bfr_disk_place_of(entry);
    const struct bfr_batch *batch = NULL;
    struct booking booking = {0};

    enum disk_read result = bfr_disk_read_batch(queue, &place, &batch);
    if (result == DISK_READ_DAMAGED)
        log_read(queue, entry, "record is damaged; it becomes a dead letter", "checksum");
    else if (result == DISK_READ_HOLE)
        log_read(queue, entry, "record was done with and its mark is lost; nothing is missing", "hole");
    else if (result == DISK_READ_ERROR)
        log_read(queue, entry, "record cannot be read; it is tried again; check the disk", strerror(errno));
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);

    pthread_mutex_lock(&queue->mutex);
    entry->segment->pins--;
    if (result == DISK_READ_OK)
        batch = take_batch(entry, claim, batch);
    else
        end_unread(queue, claim, result, now_ns, &booking, &chain);
    pthread_mutex_unlock(&queue->mutex);

    if (batch != NULL)
        queue->host->batch_release(queue->host, batch);
    if (booking.entry != 0)
        queue->host->account(queue->host, booking.entry, booking.tenant, 1, booking.bytes);
    bfr_disk_entries_free(queue, chain);
    return result == DISK_READ_OK;
}

uint32_t bfr_disk_lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                        uint64_t *out_next_ns)
{
    struct disk_queue *queue = self;
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    uint32_t count, good;

    // Again when all that came could not be read: more may wait behind it.
    do {
        pthread_mutex_lock(&queue->mutex);
        count = choose(queue, request, now_ns, out, out_next_ns);
        pthread_mutex_unlock(&queue->mutex);
        good = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct disk_claim *claim = LIST_OWNER(out[i], struct disk_claim, lease);
            if (claim->lease.batch != NULL || read_claim(queue, claim))
                out[good++] = out[i];
        }
    } while (count > 0 && good == 0 && (request->flags & BFR_LEASE_PROBE) == 0);
    return good;
}
