// SPDX-License-Identifier: Apache-2.0
// See disk_load.h. Runs on the keeper thread (at start: the main thread), beside the traffic: files are read without the
// mutex, entries are made without it and put in place some at a time.
#include "disk_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "disk_aside.h"
#include "disk_entry.h"
#include "disk_move.h"
#include "disk_recent.h"
#include "disk_room.h"
#include "disk_seen.h"
#include "marks.h"

#define AGAIN_AFTER_NS (2 * DISK_NS_PER_S)
#define PLACE_AT_ONCE  1024

// --- reading

struct reading {
    struct disk_queue *queue;
    struct disk_segment *segment;
    bool newest;
    uint64_t *doubled; // sequences of records that stand elsewhere too
    size_t doubled_count;
};

static int compare_numbers(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static bool contains(const uint64_t *list, size_t count, uint64_t number)
{
    return count > 0 && bsearch(&number, list, count, sizeof *list, compare_numbers) != NULL;
}

// Was it a dead letter with files when this life began?
static bool is_filed(const struct disk_queue *queue, uint64_t sequence)
{
    return contains(queue->filed, queue->filed_count, sequence);
}

static void on_gap(void *arg, uint64_t from, uint64_t to, bool torn)
{
    const struct reading *reading = arg;
    bfr_disk_aside_bytes(reading->queue, &reading->segment->file, from, to, torn);
}

static void on_record(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                      bool settled)
{
    struct reading *reading = arg;
    char texts[ENVELOPE_MAX_BYTES + 16];
    const char *consumers[RECORD_CONSUMERS_MAX];
    uint32_t count = 0;
    struct bfr_batch batch;
    (void)offset;

    if (!bfr_record_envelope_decode(envelope, header, &batch, consumers, &count, texts))
        return;
    if (reading->newest)
        bfr_disk_recent_found(reading->queue, &batch, header->sequence);
    if (reading->segment->counted)
        return;
    if (settled)
        bfr_disk_seen_add_settled(reading->queue->seen, &batch, consumers, count, header->sequence);
    // Two that both wait are one. One that is a dead letter with files, or was to take the place of one, proves nothing.
    if (settled || (!is_filed(reading->queue, header->sequence) &&
                    !is_filed(reading->queue, bfr_record_letter(envelope, header->envelope_bytes)) &&
                    !bfr_disk_seen_add(reading->queue->seen, &batch, consumers, count, header->sequence)))
        return;
    uint64_t *doubled = reallocarray(reading->doubled, reading->doubled_count + 1, sizeof *doubled);
    if (doubled == NULL)
        return; // offered twice, then
    reading->doubled = doubled;
    doubled[reading->doubled_count++] = header->sequence;
}

// Take out what is a letter with a file already, or stands elsewhere too, and say so on the disk.
static void drop_doubled(struct reading *reading, struct found *found)
{
    struct disk_queue *queue = reading->queue;
    struct segment_file *file = &reading->segment->file;
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        const struct found_record *record = &found->records[i];
        if (!contains(reading->doubled, reading->doubled_count, record->sequence) &&
            !bfr_disk_move_is_copy(queue, file->id, record->sequence) && !is_filed(queue, record->sequence)) {
            found->records[kept++] = *record;
            continue;
        }
        const struct mark mark = {record->sequence, MARK_EVERY_CONSUMER, MARK_PURGED, 0};
        uint8_t bytes[MARK_BYTES];
        bfr_mark_encode(&mark, file->nonce, bytes);
        bool good = bfr_marks_append(file, bytes, sizeof bytes);
        queue->copies_unmarked |= !good;
        if (!good)
            bfr_log(queue->host, BFR_LOG_WARN,
                    "a record that stands twice cannot be marked; it is left out all the same", "reason",
                    strerror(errno), NULL);
    }
    found->count = kept;
}

static bool not_now(struct disk_queue *queue, struct disk_segment *segment, const char *what, int error)
{
    char name[SEGMENT_NAME_SIZE];
    bfr_segment_name(segment->file.id, "seg", name);
    bfr_log(queue->host, BFR_LOG_ERROR, "segment cannot be read now; it is tried again", "segment", name, "step", what,
            "reason", strerror(error), NULL);
    segment->retry_at_ns = queue->host->monotonic_ns(queue->host) + AGAIN_AFTER_NS;
    return false;
}

// *out_gone: it was no segment, and is out of the way.
static bool open_file(struct disk_queue *queue, struct disk_segment *segment, bool *out_gone)
{
    uint64_t id = segment->file.id;

    if (segment->file.fd >= 0)
        return true;
    struct segment_file file;
    if (!bfr_segment_open(&file, queue->dir.segments, id)) {
        int error = errno;
        // A file that was about to become this segment holds nothing; anything else is for a person.
        *out_gone = error == ESTALE   ? bfr_segment_remove(queue->dir.segments, id, false)
                    : error == 0      ? bfr_disk_aside_segment(queue, id)
                    : error == ENOENT ? true
                                      : false;
        return *out_gone ? false : not_now(queue, segment, "open", error);
    }
    segment->file = file;
    if (file.header_damaged) {
        char name[SEGMENT_NAME_SIZE];
        bfr_segment_name(id, "seg", name);
        bfr_log(queue->host, BFR_LOG_WARN, "the header of a segment is damaged; its records are read all the same",
                "segment", name, NULL);
    }
    return true;
}

// The index has just been written.
static void count_index(struct disk_queue *queue, struct disk_segment *segment)
{
    uint64_t bytes = bfr_segment_file_bytes(queue->dir.segments, segment->file.id, "idx");
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_side_indexed(queue, segment, bytes);
    pthread_mutex_unlock(&queue->mutex);
}

bool bfr_disk_segment_read(struct disk_queue *queue, struct disk_segment *segment, bool newest, struct found *out,
                           bool *out_gone)
{
    struct reading reading = {.queue = queue, .segment = segment, .newest = newest};
    const struct found_events events = {on_gap, on_record, &reading};
    *out = (struct found){.count = 0};
    *out_gone = false;
    if (!open_file(queue, segment, out_gone))
        return false;
    if (!bfr_segment_load(&segment->file, queue->dir.segments, &events, out)) {
        free(reading.doubled);
        return not_now(queue, segment, "read", errno);
    }
    if (reading.doubled_count > 1)
        qsort(reading.doubled, reading.doubled_count, sizeof *reading.doubled, compare_numbers);
    if (!segment->counted)
        drop_doubled(&reading, out);
    if (out->marks_lost)
        bfr_log(queue->host, BFR_LOG_WARN, "settlement marks cannot be read; what they settled is sent again",
                "segment", bfr_num((int64_t)segment->file.id).text, NULL);
    segment->indexed = !out->scanned || bfr_segment_index_write(&segment->file, queue->dir.segments, out);
    free(reading.doubled);
    if (out->scanned)
        count_index(queue, segment);
    return true;
}

// --- counting

struct sums {
    uint64_t held_batches, held_bytes, buried_batches, buried_bytes;
};

static uint32_t every(const struct found_set *set)
{
    return (uint32_t)((UINT64_C(1) << set->count) - 1);
}

static uint32_t still_open(const struct found *found, const struct found_record *record)
{
    return every(&found->sets[record->set]) & ~(record->confirmed | record->buried);
}

static void add_up(const struct found *found, struct sums *by_tenant, struct sums *total, uint64_t *live_bytes)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct found_record *record = &found->records[i];
        struct sums *both[] = {&by_tenant[record->tenant], total};
        for (size_t j = 0; j < 2; j++) {
            bool held = still_open(found, record) != 0;
            *(held ? &both[j]->held_batches : &both[j]->buried_batches) += 1;
            *(held ? &both[j]->held_bytes : &both[j]->buried_bytes) += record->body_bytes;
        }
        *live_bytes += bfr_record_bytes(record->envelope_bytes, record->body_bytes);
    }
}

static void share_found(struct disk_queue *queue, const char *name, uint64_t bytes)
{
    struct tenant *tenant = bytes > 0 ? bfr_tenants_hold(&queue->tenants, name) : NULL;
    if (tenant == NULL)
        return;
    bfr_disk_share_add(queue, tenant, bytes);
    bfr_tenants_drop(&queue->tenants, tenant);
}

// Into the host's books first: nothing of it can be leased before.
static void account_sums(struct disk_queue *queue, const struct found *found, const struct sums *by_tenant)
{
    const struct bfr_host *host = queue->host;
    for (size_t i = 0; i < found->tenant_count; i++) {
        const struct sums *sums = &by_tenant[i];
        if (sums->held_batches > 0)
            host->account(host, BFR_ACCOUNT_FOUND_HELD, found->tenants[i], sums->held_batches, sums->held_bytes);
        if (sums->buried_batches > 0)
            host->account(host, BFR_ACCOUNT_FOUND_BURIED, found->tenants[i], sums->buried_batches, sums->buried_bytes);
    }
}

static bool count_segment(struct disk_queue *queue, struct disk_segment *segment, const struct found *found)
{
    struct sums total = {0}, *by_tenant = calloc(found->tenant_count + 1, sizeof *by_tenant);
    uint64_t live_bytes = SEGMENT_HEADER_BYTES;
    if (by_tenant == NULL)
        return not_now(queue, segment, "count", ENOMEM);
    add_up(found, by_tenant, &total, &live_bytes);
    account_sums(queue, found, by_tenant);

    pthread_mutex_lock(&queue->mutex);
    segment->counted = true;
    segment->live = found->count;
    segment->oldest_ns = found->count > 0 ? found->records[0].received_ns : 0;
    uint64_t rest = live_bytes + segment->punched_bytes;
    segment->settled_bytes = segment->file.file_bytes > rest ? segment->file.file_bytes - rest : 0;
    queue->held_batches += total.held_batches;
    queue->held_bytes += total.held_bytes;
    queue->buried_batches += total.buried_batches;
    queue->buried_bytes += total.buried_bytes;
    bfr_disk_side_found(queue, segment, segment->file.marks_bytes, segment->index_bytes, found->count);
    for (size_t i = 0; i < found->tenant_count; i++)
        share_found(queue, found->tenants[i], by_tenant[i].held_bytes + by_tenant[i].buried_bytes);
    pthread_mutex_unlock(&queue->mutex);
    free(by_tenant);
    return true;
}

// --- entries

// What of a record our consumers are concerned with: an entry, or NULL with *out_parked, or NULL for lack of memory.
static struct disk_entry *make_entry(struct disk_queue *queue, const struct found *found,
                                     const struct found_record *record, bool *out_parked)
{
    const struct found_set *names = &found->sets[record->set];
    const struct disk_set *set = bfr_disk_set(queue, names->names, names->count);
    *out_parked = false;
    if (set == NULL)
        return NULL;
    uint32_t open = still_open(found, record), missing = open & ~set->served;
    if (missing != 0) {
        pthread_mutex_lock(&queue->mutex);
        snprintf(queue->missing_consumer, sizeof queue->missing_consumer, "%s", set->names[__builtin_ctz(missing)]);
        pthread_mutex_unlock(&queue->mutex);
    }
    *out_parked = open != 0 && (open & set->served) == 0;
    struct disk_entry *entry = *out_parked ? NULL : bfr_disk_entry_new(queue);
    if (entry == NULL)
        return NULL;
    entry->sequence = record->sequence;
    entry->offset = record->offset;
    entry->body_bytes = record->body_bytes;
    entry->envelope_bytes = record->envelope_bytes;
    entry->body_crc32c = record->body_crc32c;
    entry->received_ns = record->received_ns;
    bfr_disk_entry_open(queue, entry, set, record->confirmed, record->buried);
    if (record->buried != 0) {
        uint32_t reason = record->burial & 0xff;
        bfr_trouble_add(&entry->trouble, record->burial >> 8, NULL, queue->host->wall_ns(queue->host));
        bfr_trouble_bury(&entry->trouble, reason != 0 ? reason : (uint32_t)BFR_REASON_REJECTED);
        entry->trouble.recalled = true;
    }
    return entry;
}

// All entries of a segment as an array; NULL when memory is short. *out_count of them, the others are parked.
static struct disk_entry **make_entries(struct disk_queue *queue, const struct found *found, size_t *out_count,
                                        uint64_t *out_parked)
{
    struct disk_entry **entries = calloc(found->count + 1, sizeof(struct disk_entry *));
    bool good = entries != NULL;
    *out_count = 0;
    *out_parked = 0;
    for (size_t i = 0; i < found->count && good; i++) {
        bool parked;
        struct disk_entry *entry = make_entry(queue, found, &found->records[i], &parked);
        *out_parked += parked ? 1 : 0;
        if (entry != NULL)
            entries[(*out_count)++] = entry;
        else
            good = parked;
    }
    if (good)
        return entries;
    while (*out_count > 0)
        bfr_disk_entry_free(queue, entries[--*out_count]);
    free(entries);
    return NULL;
}

// Some of them in place, none to be leased yet. The mutex is held.
static size_t enter_some(struct disk_queue *queue, struct disk_segment *segment, const struct found *found,
                         struct disk_entry **entries, const struct found_record **records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct found_record *record = records[i];
        if (record == NULL || !bfr_disk_entry_enter(queue, entries[i], found->tenants[record->tenant], LANE_AGED))
            return i;
        bfr_disk_entry_place(queue, entries[i], segment, false);
    }
    return count;
}

// The records of the entries, in the same order: parked ones are left out.
static const struct found_record **match_records(const struct found *found, struct disk_entry **entries, size_t count)
{
    const struct found_record **records = calloc(count + 1, sizeof(const struct found_record *));
    for (size_t i = 0, j = 0; i < found->count && j < count && records != NULL; i++)
        if (found->records[i].sequence == entries[j]->sequence)
            records[j++] = &found->records[i];
    return records;
}

static void withdraw_all(struct disk_queue *queue, struct disk_entry **entries, size_t entered)
{
    struct disk_entry *chain = NULL;
    pthread_mutex_lock(&queue->mutex);
    for (size_t i = 0; i < entered; i++)
        bfr_disk_entry_unload(queue, entries[i], &chain);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
}

static void offer_all(struct disk_queue *queue, struct disk_entry **entries, size_t count)
{
    for (size_t done = 0; done < count;) {
        size_t part = count - done < PLACE_AT_ONCE ? count - done : PLACE_AT_ONCE;
        pthread_mutex_lock(&queue->mutex);
        for (size_t i = 0; i < part; i++)
            bfr_disk_entry_offer(queue, entries[done + i]);
        pthread_mutex_unlock(&queue->mutex);
        done += part;
    }
    if (count > 0)
        queue->host->ready(queue->host);
}

static bool make_resident(struct disk_queue *queue, struct disk_segment *segment, const struct found *found)
{
    size_t count = 0, entered = 0;
    uint64_t parked = 0;
    struct disk_entry **entries = make_entries(queue, found, &count, &parked);
    const struct found_record **records = entries == NULL ? NULL : match_records(found, entries, count);

    while (records != NULL && entered < count) {
        size_t part = count - entered < PLACE_AT_ONCE ? count - entered : PLACE_AT_ONCE;
        pthread_mutex_lock(&queue->mutex);
        size_t done = enter_some(queue, segment, found, entries + entered, records + entered, part);
        pthread_mutex_unlock(&queue->mutex);
        entered += done;
        if (done < part)
            break;
    }
    bool good = records != NULL && entered == count;
    if (good) {
        pthread_mutex_lock(&queue->mutex);
        segment->parked = parked;
        segment->resident = count > 0;
        queue->resident_segments += count > 0 ? 1 : 0;
        pthread_mutex_unlock(&queue->mutex);
        offer_all(queue, entries, count);
    } else {
        withdraw_all(queue, entries, entered);
        for (size_t i = entered; i < count && entries != NULL; i++)
            bfr_disk_entry_free(queue, entries[i]);
    }
    free(records);
    free(entries);
    return good ? true : not_now(queue, segment, "load", ENOMEM);
}

// Letters are shown to people and are to become files: their segment is loaded whatever else is in RAM.
static bool has_letters(const struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        if (still_open(found, &found->records[i]) == 0)
            return true;
    return false;
}

bool bfr_disk_segment_load(struct disk_queue *queue, struct disk_segment *segment, bool resident)
{
    struct found found;
    bool gone;
    if (!bfr_disk_segment_read(queue, segment, false, &found, &gone)) {
        if (gone)
            bfr_disk_segment_forget(queue, segment);
        else
            bfr_segment_close(&segment->file);
        return false;
    }
    bool good = segment->counted || count_segment(queue, segment, &found);
    if (good && (resident || has_letters(&found)) && found.count > 0)
        good = make_resident(queue, segment, &found);
    if (!segment->resident)
        bfr_segment_close(&segment->file);
    bfr_found_free(&found);
    return good;
}

// --- out of RAM

// Is anything in it under way, or is there something about it that only RAM knows? The mutex is held.
static bool is_quiet(const struct disk_segment *segment)
{
    if (!segment->resident || !segment->sealed || !segment->indexed || segment->marks_lost || segment->pins > 0 ||
        segment->marks_used > 0)
        return false;
    for (const struct list *node = segment->entries.next; node != &segment->entries; node = node->next) {
        const struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, link);
        const struct trouble *trouble = &entry->trouble;
        if (!entry->offered || entry->settle.leased > 0 || trouble->first_ns != 0 || trouble->redriven_ns != 0 ||
            entry->pinned)
            return false;
    }
    return true;
}

bool bfr_disk_segment_unload(struct disk_queue *queue, struct disk_segment *segment)
{
    struct disk_entry *chain = NULL;
    pthread_mutex_lock(&queue->mutex);
    bool quiet = is_quiet(segment);
    if (quiet) {
        while (!list_empty(&segment->entries))
            bfr_disk_entry_unload(queue, LIST_OWNER(segment->entries.next, struct disk_entry, link), &chain);
        segment->resident = false;
        segment->fresh = false;
        queue->resident_segments--;
    }
    pthread_mutex_unlock(&queue->mutex);
    if (quiet)
        bfr_segment_close(&segment->file);
    bfr_disk_entries_free(queue, chain);
    return quiet;
}

void bfr_disk_segment_forget(struct disk_queue *queue, struct disk_segment *segment)
{
    pthread_mutex_lock(&queue->mutex);
    list_remove(&segment->link);
    queue->segments_bytes -= segment->file.file_bytes - segment->punched_bytes;
    bfr_disk_side_forget(queue, segment);
    queue->resident_segments -= segment->resident ? 1 : 0;
    bool wake = bfr_disk_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_segment_free(segment);
    if (wake)
        queue->host->ready(queue->host);
}

// --- the index

// Each tenant once, without looking it up for each of its records: the mutex is held meanwhile.
static bool list_tenant(struct found *found, struct tenant *tenant, uint64_t round)
{
    if (tenant->listed_round == round)
        return true;
    tenant->listed_round = round;
    return bfr_found_tenant_new(found, tenant->name, &tenant->listed_as);
}

static bool list_entry(struct found *found, const struct disk_entry *entry, uint64_t round)
{
    struct found_record record = {.sequence = entry->sequence,
                                  .offset = entry->offset,
                                  .body_bytes = entry->body_bytes,
                                  .envelope_bytes = entry->envelope_bytes,
                                  .body_crc32c = entry->body_crc32c,
                                  .received_ns = entry->received_ns,
                                  .confirmed = entry->confirmed,
                                  .buried = entry->buried};
    if (!list_tenant(found, entry->tenant, round))
        return false;
    record.tenant = entry->tenant->listed_as;
    return bfr_found_set(found, (const char *const *)entry->set->names, entry->set->count, &record.set) &&
           bfr_found_add(found, &record);
}

bool bfr_disk_segment_index(struct disk_queue *queue, struct disk_segment *segment)
{
    struct found found = {.count = 0};
    bool good = true;

    pthread_mutex_lock(&queue->mutex);
    queue->list_round++;
    found.end_bytes = segment->file.end_bytes;
    for (const struct list *node = segment->entries.next; node != &segment->entries && good; node = node->next)
        good = list_entry(&found, LIST_OWNER(node, struct disk_entry, link), queue->list_round);
    good = good && segment->parked == 0; // those are not in RAM: the segment itself is the list
    pthread_mutex_unlock(&queue->mutex);
    segment->indexed = good && bfr_segment_index_write(&segment->file, queue->dir.segments, &found);
    if (segment->indexed)
        count_index(queue, segment);
    else
        segment->retry_at_ns = queue->host->monotonic_ns(queue->host) + AGAIN_AFTER_NS;
    bfr_found_free(&found);
    return segment->indexed;
}
