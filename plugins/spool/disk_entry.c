// SPDX-License-Identifier: Apache-2.0
// See disk_entry.h. Everything that a thread does to an entry passes through here, so that lists and figures agree.
#include "disk_entry.h"

#include <stdlib.h>
#include <string.h>

#include "disk_room.h"

struct disk_entry *bfr_disk_entry_new(const struct disk_queue *queue)
{
    struct disk_entry *entry = calloc(1, sizeof *entry + queue->consumer_count * sizeof entry->claims[0]);
    if (entry == NULL)
        return NULL;
    list_init(&entry->link);
    list_init(&entry->copy);
    list_init(&entry->unfiled);
    return entry;
}

void bfr_disk_entry_free(struct disk_queue *queue, struct disk_entry *entry)
{
    if (entry->batch != NULL)
        queue->host->batch_release(queue->host, entry->batch);
    bfr_trouble_clear(&entry->trouble);
    free(entry);
}

void bfr_disk_entries_free(struct disk_queue *queue, struct disk_entry *chain)
{
    while (chain != NULL) {
        struct disk_entry *next = chain->next;
        bfr_disk_entry_free(queue, chain);
        chain = next;
    }
}

void bfr_disk_entry_open(const struct disk_queue *queue, struct disk_entry *entry, const struct disk_set *set,
                         uint32_t confirmed, uint32_t buried)
{
    entry->set = set;
    entry->confirmed = confirmed;
    entry->buried = buried;
    entry->settle.buried = (uint32_t)__builtin_popcount(buried);
    entry->settle.open = set->count - (uint32_t)__builtin_popcount(confirmed) - entry->settle.buried;
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        struct disk_claim *claim = &entry->claims[i];
        uint8_t number = set->number_of[i];
        claim->lease = (struct bfr_lease){.size = sizeof claim->lease, .batch = entry->batch};
        claim->entry = entry;
        // A consumer that the record does not name wants nothing of it: done from the start.
        claim->state = number == DISK_NO_NUMBER || (confirmed >> number & 1) != 0 ? CLAIM_CONFIRMED
                       : (buried >> number & 1) != 0                              ? CLAIM_BURIED
                                                                                  : CLAIM_WAITING;
    }
}

bool bfr_disk_entry_enter(struct disk_queue *queue, struct disk_entry *entry, const char *tenant, uint8_t lane)
{
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (!bfr_backlog_reserve(bfr_disk_backlog(queue, i, lane), queue->entry_count + 1))
            return false;
    entry->tenant = bfr_tenants_hold(&queue->tenants, tenant);
    if (entry->tenant == NULL)
        return false;
    entry->lane = lane;
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        bfr_backlog_entry_init(&entry->claims[i].waiting, &entry->tenant->lanes[i * LANE_COUNT + lane],
                               entry->body_bytes);
    queue->entry_count++;
    return true;
}

void bfr_disk_entry_leave(struct disk_queue *queue, struct disk_entry *entry)
{
    bfr_tenants_drop(&queue->tenants, entry->tenant);
    entry->tenant = NULL;
    queue->entry_count--;
}

void bfr_disk_entry_offer(struct disk_queue *queue, struct disk_entry *entry)
{
    entry->offered = true;
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (entry->claims[i].state == CLAIM_WAITING)
            bfr_backlog_add(bfr_disk_backlog(queue, i, entry->lane), &entry->claims[i].waiting);
}

void bfr_disk_entry_withdraw(struct disk_queue *queue, struct disk_entry *entry)
{
    if (!entry->offered)
        return;
    entry->offered = false;
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (entry->claims[i].state == CLAIM_WAITING)
            bfr_backlog_remove(bfr_disk_backlog(queue, i, entry->lane), &entry->claims[i].waiting);
}

static void count_held(struct disk_queue *queue, const struct disk_entry *entry)
{
    queue->held_batches++;
    queue->held_bytes += entry->body_bytes;
}

static void uncount_held(struct disk_queue *queue, const struct disk_entry *entry)
{
    queue->held_batches--;
    queue->held_bytes -= entry->body_bytes;
}

void bfr_disk_entry_place(struct disk_queue *queue, struct disk_entry *entry, struct disk_segment *segment, bool anew)
{
    entry->segment = segment;
    list_push_tail(&segment->entries, &entry->link);
    if (anew) {
        segment->live++;
        if (!entry->moved)
            count_held(queue, entry);
    }
    if (bfr_disk_entry_is_letter(entry))
        list_push_tail(&queue->unfiled, &entry->unfiled);
}

void bfr_disk_entry_bury(struct disk_queue *queue, struct disk_entry *entry)
{
    uncount_held(queue, entry);
    queue->buried_batches++;
    queue->buried_bytes += entry->body_bytes;
    list_push_tail(&queue->unfiled, &entry->unfiled);
    bfr_disk_poke_keeper(queue);
}

static void uncount_copy(struct disk_queue *queue, struct disk_entry *entry)
{
    if (!list_empty(&entry->copy))
        queue->copies_bytes -= entry->body_bytes;
    list_remove(&entry->copy);
}

static void take_out(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain)
{
    bfr_disk_entry_withdraw(queue, entry);
    list_remove(&entry->link);
    list_remove(&entry->unfiled);
    uncount_copy(queue, entry);
    bfr_disk_entry_leave(queue, entry);
    if (entry->pinned) {
        entry->gone = true;
        return;
    }
    entry->next = *chain;
    *chain = entry;
}

void bfr_disk_entry_end(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain)
{
    struct disk_segment *segment = entry->segment;
    bfr_disk_share_remove(queue, entry->tenant, entry->body_bytes);
    if (!list_empty(&entry->unfiled)) {
        queue->buried_batches--;
        queue->buried_bytes -= entry->body_bytes;
    } else {
        uncount_held(queue, entry);
    }
    take_out(queue, entry, chain);
    segment->live--;
    segment->settled_bytes += bfr_disk_entry_record_bytes(entry);
    if (segment->sealed && (segment->live == 0 || segment->settled_bytes >= segment->file.file_bytes / 8))
        bfr_disk_poke_keeper(queue);
}

void bfr_disk_entry_purge(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain)
{
    bfr_disk_mark(queue, entry, MARK_EVERY_CONSUMER, MARK_PURGED, 0);
    bfr_disk_entry_end(queue, entry, chain);
}

void bfr_disk_entry_unload(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain)
{
    take_out(queue, entry, chain);
}

void bfr_disk_entry_unpin(struct disk_entry *entry, struct disk_entry **chain)
{
    entry->pinned = false;
    if (!entry->gone)
        return;
    entry->next = *chain;
    *chain = entry;
}

const struct bfr_batch *bfr_disk_copy_take(struct disk_queue *queue, struct disk_entry *entry)
{
    const struct bfr_batch *batch = entry->batch;
    if (batch == NULL || entry->settle.leased > 0 || entry->pinned || entry->segment == NULL)
        return NULL;
    uncount_copy(queue, entry);
    entry->batch = NULL;
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        entry->claims[i].lease.batch = NULL;
    return batch;
}

void bfr_disk_copy_keep(struct disk_queue *queue, struct disk_entry *entry)
{
    queue->copies_bytes += entry->body_bytes;
    list_push_tail(&queue->copies, &entry->copy);
}

void bfr_disk_mark(struct disk_queue *queue, const struct disk_entry *entry, uint32_t number, uint32_t state,
                   uint32_t burial)
{
    const struct mark mark = {entry->sequence, number, state, burial};
    bfr_disk_mark_add(queue, entry->segment, &mark);
}

void bfr_disk_mark_add(struct disk_queue *queue, struct disk_segment *segment, const struct mark *mark)
{
    if (segment->marks_used + MARK_BYTES > segment->marks_room) {
        size_t room = segment->marks_room == 0 ? (size_t)64 * MARK_BYTES : 2 * segment->marks_room;
        uint8_t *marks = realloc(segment->marks, room);
        if (marks == NULL) {
            segment->marks_lost = true; // the batch may be offered again after a restart, nothing worse
            return;
        }
        segment->marks = marks;
        segment->marks_room = room;
    }
    bfr_mark_encode(mark, segment->file.nonce, segment->marks + segment->marks_used);
    segment->marks_used += MARK_BYTES;
    if (queue->marks_since_ns == 0) {
        queue->marks_since_ns = queue->host->monotonic_ns(queue->host);
        pthread_cond_signal(&queue->commit_wanted);
    }
}

static bool same_names(const struct disk_set *set, const char *const *names, uint32_t count)
{
    if (set->count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(set->names[i], names[i]) != 0)
            return false;
    return true;
}

static struct disk_set *make_set(const struct disk_queue *queue, const char *const *names, uint32_t count)
{
    struct disk_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    memset(set->number_of, DISK_NO_NUMBER, sizeof set->number_of);
    for (uint32_t i = 0; i < count; i++) {
        set->names[i] = strdup(names[i]);
        if (set->names[i] == NULL) {
            while (i-- > 0)
                free(set->names[i]);
            free(set);
            return NULL;
        }
        for (uint32_t j = 0; j < queue->consumer_count; j++) {
            if (strcmp(queue->consumers[j], names[i]) == 0) {
                set->number_of[j] = (uint8_t)i;
                set->served |= UINT32_C(1) << i;
            }
        }
    }
    set->count = count;
    return set;
}

const struct disk_set *bfr_disk_set(struct disk_queue *queue, const char *const *names, uint32_t count)
{
    for (struct disk_set *set = queue->sets; set != NULL; set = set->next)
        if (same_names(set, names, count))
            return set;
    struct disk_set *set = make_set(queue, names, count);
    if (set == NULL)
        return NULL;
    set->next = queue->sets;
    queue->sets = set;
    return set;
}

struct disk_segment *bfr_disk_segment_new(void)
{
    struct disk_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return NULL;
    segment->file.fd = segment->file.marks_fd = -1;
    list_init(&segment->link);
    list_init(&segment->entries);
    return segment;
}

void bfr_disk_segment_free(struct disk_segment *segment)
{
    bfr_segment_close(&segment->file);
    free(segment->marks);
    free(segment);
}

void bfr_disk_poke_keeper(struct disk_queue *queue)
{
    queue->keeper_poke = true;
    pthread_cond_signal(&queue->keeper_wanted);
}

void bfr_disk_poke_commit(struct disk_queue *queue)
{
    pthread_cond_signal(&queue->commit_wanted);
}
