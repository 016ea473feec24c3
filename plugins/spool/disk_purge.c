// SPDX-License-Identifier: Apache-2.0
// Purging held batches, for erasure: in RAM or not. Any thread but the pumps'; `work` is held for a
// group at a time: no segment is loaded, unloaded or removed meanwhile, and the keeper has a turn after each. Batches on lease
// are left alone: their consumer is done with them soon.
#include <stdlib.h>
#include <string.h>

#include "disk_entry.h"
#include "disk_keeper.h"
#include "disk_letters.h"
#include "disk_load.h"
#include "disk_read.h"
#include "disk_recent.h"
#include "disk_room.h"
#include "filter.h"
#include "letter.h"

#define AT_ONCE 256

struct purge {
    struct disk_queue *queue;
    const struct bfr_filter *filter;
    const struct disk_told *told;
    bool dry_run;
    uint64_t count;
};

// A held batch as a letter: reason 0. Its key is free from then on.
static void tell(const struct purge *purge, const struct bfr_batch *batch, const char *id)
{
    bfr_disk_recent_forget(purge->queue, batch);
    struct bfr_letter letter = bfr_letter_of(batch, id);
    if (purge->told->tell != NULL)
        purge->told->tell(purge->told->arg, &letter);
}

// --- in RAM

static bool is_free(const struct disk_entry *entry)
{
    return entry->offered && entry->settle.leased == 0 && !bfr_disk_entry_is_letter(entry);
}

// Pin up to AT_ONCE entries behind the offset `after`.
static size_t pin_some(const struct purge *purge, struct disk_segment *segment, uint64_t after, struct disk_entry **out)
{
    struct disk_queue *queue = purge->queue;
    size_t count = 0;
    pthread_mutex_lock(&queue->mutex);
    for (struct list *node = segment->entries.next; node != &segment->entries && count < AT_ONCE; node = node->next) {
        struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, link);
        if (entry->offset <= after || !is_free(entry) || !bfr_filter_may_match(purge->filter, entry->tenant->name))
            continue;
        entry->pinned = true;
        out[count++] = entry;
    }
    segment->pins += count > 0 ? 1 : 0;
    pthread_mutex_unlock(&queue->mutex);
    return count;
}

// Ended by us, or, meanwhile, by its consumer: true when it was us.
static bool end_pinned(struct purge *purge, struct disk_entry *entry, bool hit)
{
    struct disk_queue *queue = purge->queue;
    struct disk_entry *chain = NULL;
    pthread_mutex_lock(&queue->mutex);
    hit = hit && !entry->gone && is_free(entry);
    if (hit && !purge->dry_run)
        bfr_disk_entry_purge(queue, entry, &chain);
    bfr_disk_entry_unpin(entry, &chain);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
    return hit;
}

static void purge_entry(struct purge *purge, struct disk_entry *entry)
{
    struct disk_queue *queue = purge->queue;
    const struct bfr_batch *batch = bfr_disk_entry_envelope(queue, entry);
    char id[LETTER_ID_SIZE];
    bfr_letter_id(entry->sequence, id);
    // What cannot be read matches nothing; its consumer makes a letter of it.
    bool hit = end_pinned(purge, entry, batch != NULL && bfr_filter_matches(purge->filter, batch, id));
    purge->count += hit ? 1 : 0;
    if (hit && !purge->dry_run)
        tell(purge, batch, id);
    if (batch != NULL)
        queue->host->batch_release(queue->host, batch);
}

// Up to AT_ONCE of them; false: there are no more.
static bool purge_resident(struct purge *purge, struct disk_segment *segment, uint64_t *after)
{
    struct disk_entry *some[AT_ONCE];
    size_t count = pin_some(purge, segment, *after, some);
    if (count == 0)
        return false;
    *after = some[count - 1]->offset;
    for (size_t i = 0; i < count; i++)
        purge_entry(purge, some[i]);
    pthread_mutex_lock(&purge->queue->mutex);
    segment->pins--;
    pthread_mutex_unlock(&purge->queue->mutex);
    return true;
}

// --- on the disk alone

// The record is done with. A resident segment's marks are the commit thread's to write.
static bool mark_record(struct disk_queue *queue, struct disk_segment *segment, struct segment_file *file,
                        uint64_t sequence)
{
    const struct mark mark = {sequence, MARK_EVERY_CONSUMER, MARK_PURGED, 0};
    uint8_t bytes[MARK_BYTES];
    if (!segment->resident) {
        bfr_mark_encode(&mark, file->nonce, bytes);
        return bfr_marks_append(file, bytes, sizeof bytes);
    }
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_mark_add(queue, segment, &mark);
    pthread_mutex_unlock(&queue->mutex);
    return true;
}

static void uncount_record(struct disk_queue *queue, struct disk_segment *segment, const struct found_record *record,
                           const char *name)
{
    pthread_mutex_lock(&queue->mutex);
    segment->live--;
    segment->parked -= segment->parked > 0 ? 1 : 0;
    segment->settled_bytes += bfr_record_bytes(record->envelope_bytes, record->body_bytes);
    queue->held_batches--;
    queue->held_bytes -= record->body_bytes;
    struct tenant *tenant = bfr_tenants_hold(&queue->tenants, name);
    if (tenant != NULL) {
        bfr_disk_share_remove(queue, tenant, record->body_bytes);
        bfr_tenants_drop(&queue->tenants, tenant);
    }
    bfr_disk_poke_keeper(queue);
    pthread_mutex_unlock(&queue->mutex);
}

static void purge_record(struct purge *purge, struct disk_segment *segment, struct segment_file *file,
                         const struct found *found, const struct found_record *record)
{
    struct disk_queue *queue = purge->queue;
    const struct disk_place place = {file, record->sequence, record->offset, record->body_bytes,
                                     record->envelope_bytes};
    const struct bfr_batch *batch = NULL;
    char id[LETTER_ID_SIZE];
    bfr_letter_id(record->sequence, id);
    (void)bfr_disk_read_envelope(queue, &place, &batch);
    bool hit = batch != NULL && bfr_filter_matches(purge->filter, batch, id);
    if (hit && !purge->dry_run)
        hit = mark_record(queue, segment, file, record->sequence);
    purge->count += hit ? 1 : 0;
    if (hit && !purge->dry_run) {
        uncount_record(queue, segment, record, found->tenants[record->tenant]);
        tell(purge, batch, id);
    }
    if (batch != NULL)
        queue->host->batch_release(queue->host, batch);
}

// Is that record held, and not an entry? In a resident segment only what is parked is not, and marks that are still in RAM do
// not concern it.
static bool is_absent(struct disk_queue *queue, const struct disk_segment *segment, const struct found *found,
                      const struct found_record *record)
{
    const struct found_set *names = &found->sets[record->set];
    uint32_t open = (uint32_t)((UINT64_C(1) << names->count) - 1) & ~(record->confirmed | record->buried);
    if (open == 0 || !segment->resident)
        return open != 0;
    const struct disk_set *set = bfr_disk_set(queue, names->names, names->count);
    return set != NULL && (open & set->served) == 0;
}

// Read through descriptors of its own: those of a resident segment are the commit thread's. What stands before `after` was an
// entry when it was looked at.
static void purge_absent(struct purge *purge, struct disk_segment *segment, uint64_t after)
{
    struct disk_segment view = {.counted = true};
    struct found found;
    bool gone;
    view.file.id = segment->file.id;
    view.file.fd = view.file.marks_fd = -1;
    if (!bfr_disk_segment_read(purge->queue, &view, false, &found, &gone))
        return;
    for (size_t i = 0; i < found.count; i++) {
        const struct found_record *record = &found.records[i];
        if (record->offset > after && is_absent(purge->queue, segment, &found, record) &&
            bfr_filter_may_match(purge->filter, found.tenants[record->tenant]))
            purge_record(purge, segment, &view.file, &found, record);
    }
    bfr_segment_close(&view.file);
    bfr_found_free(&found);
}

// How far the walk is: `after` is an offset in the segment.
struct purge_place {
    uint64_t segment_id;
    uint64_t after;
};

// The first segment that has that id or a higher one; NULL: there is none. *out_absent: some of it may not be in RAM.
static struct disk_segment *find_segment(struct disk_queue *queue, uint64_t id, bool *out_absent)
{
    struct disk_segment *found = NULL;
    pthread_mutex_lock(&queue->mutex);
    for (struct list *node = queue->segments.next; node != &queue->segments && found == NULL; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (segment->file.id >= id)
            found = segment;
    }
    *out_absent =
        found != NULL && found->counted && found->sealed && found->live > 0 && (!found->resident || found->parked > 0);
    pthread_mutex_unlock(&queue->mutex);
    return found;
}

// A group of entries, or what of a segment is on the disk alone. False: that was all. `work` is held.
static bool purge_step(struct purge *purge, struct purge_place *place)
{
    bool absent;
    struct disk_segment *segment = find_segment(purge->queue, place->segment_id, &absent);
    if (segment == NULL)
        return false;
    if (segment->file.id != place->segment_id)
        *place = (struct purge_place){.segment_id = segment->file.id};
    if (purge_resident(purge, segment, &place->after))
        return true;
    if (absent)
        purge_absent(purge, segment, place->after);
    *place = (struct purge_place){.segment_id = segment->file.id + 1};
    return true;
}

uint64_t bfr_disk_purge_held(struct disk_queue *queue, const struct bfr_filter *filter, bool dry_run,
                             const struct disk_told *told)
{
    struct purge purge = {queue, filter, told, dry_run, 0};
    struct purge_place place = {0};
    for (bool more = true; more;) {
        uint64_t before = purge.count;
        pthread_mutex_lock(&queue->work);
        more = purge_step(&purge, &place);
        if (purge.count > before && !dry_run)
            bfr_disk_recent_sync(queue);
        pthread_mutex_unlock(&queue->work);
        if (purge.count > before && !dry_run)
            bfr_disk_keeper_pass(queue);
    }
    return purge.count;
}
