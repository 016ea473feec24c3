// SPDX-License-Identifier: Apache-2.0
// Listing and purging dead letters, for people. Any thread but the pumps'; may wait for the disk. `work` is held for a
// page or a group at a time, so that no letter moves meanwhile; `visit` is called without any lock, `gone` with `work` alone.
#include "disk_letters.h"

#include <stdlib.h>
#include <unistd.h>

#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_keeper.h"
#include "disk_letter_walk.h"
#include "disk_recent.h"
#include "filter.h"
#include "letter.h"
#include "lowest.h"

#define PAGE_LETTERS  256 // a look at all there are costs the same for one as for many
#define PURGE_AT_ONCE 1024

// --- listing

// Up to `limit` matching letters after `after`, which moves on.
static uint32_t copy_page(struct disk_queue *queue, const struct bfr_filter *filter, uint64_t *after, uint32_t limit,
                          struct letter_copy *out)
{
    struct letter_in_hand hand;
    struct letter_walk walk;
    uint32_t count = 0;

    pthread_mutex_lock(&queue->work);
    bfr_letter_walk_begin(&walk, queue, *after, UINT64_MAX);
    while (count < limit && bfr_letter_walk_next(&walk, &hand)) {
        if (bfr_letter_matches(filter, &hand.note))
            bfr_letter_copy(&hand.note.letter, &out[count++]);
        bfr_letter_put_back(queue, &hand);
    }
    *after = walk.after;
    bfr_letter_walk_end(&walk);
    pthread_mutex_unlock(&queue->work);
    return count;
}

// --- listing what is held and has failed

static bool has_failed(const struct disk_entry *entry)
{
    return entry->offered && entry->trouble.first_ns != 0 && !bfr_disk_entry_is_letter(entry);
}

// The first `limit` behind `after`, with their segments pinned: segments need not be in that order, as records are moved.
static uint32_t pin_failed(struct disk_queue *queue, const struct bfr_filter *filter, uint64_t after, uint32_t limit,
                           struct lowest *out)
{
    uint32_t count = 0;
    pthread_mutex_lock(&queue->mutex);
    for (struct list *at = queue->segments.next; at != &queue->segments; at = at->next) {
        struct disk_segment *segment = LIST_OWNER(at, struct disk_segment, link);
        for (struct list *node = segment->entries.next; node != &segment->entries; node = node->next) {
            struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, link);
            if (entry->sequence > after && has_failed(entry) && bfr_filter_may_match(filter, entry->tenant->name))
                count = lowest_keep(out, count, limit, entry->sequence, entry);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        struct disk_entry *entry = out[i].thing;
        entry->pinned = true;
        entry->segment->pins++;
    }
    pthread_mutex_unlock(&queue->mutex);
    return count;
}

// False: it does not match, cannot be read, or was confirmed meanwhile. Its errors may change at any time but under the mutex.
static bool copy_failed(struct disk_queue *queue, const struct bfr_filter *filter, struct disk_entry *entry,
                        struct letter_copy *out)
{
    const struct bfr_batch *batch = bfr_disk_entry_envelope(queue, entry);
    struct letter_note note;
    if (batch == NULL)
        return false;
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_letter_note(entry, batch, &note);
    note.letter.reason = 0; // one sink may have buried it already
    bool hit = !entry->gone && has_failed(entry) && bfr_letter_matches(filter, &note);
    if (hit)
        bfr_letter_copy(&note.letter, out);
    pthread_mutex_unlock(&queue->mutex);
    queue->host->batch_release(queue->host, batch);
    return hit;
}

// As copy_page.
static uint32_t copy_failed_page(struct disk_queue *queue, const struct bfr_filter *filter, uint64_t *after,
                                 uint32_t limit, struct letter_copy *out)
{
    struct lowest pinned[PAGE_LETTERS];
    uint32_t count = 0, found;
    if (bfr_filter_of_letters(filter))
        return 0;
    do { // `work` for one round at a time: of a dataset that has none, everything is looked at
        pthread_mutex_lock(&queue->work);
        found = pin_failed(queue, filter, *after, limit - count, pinned);
        for (uint32_t i = 0; i < found; i++) {
            *after = pinned[i].sequence;
            count += copy_failed(queue, filter, pinned[i].thing, &out[count]) ? 1 : 0;
            bfr_disk_letter_unpin(queue, pinned[i].thing);
        }
        pthread_mutex_unlock(&queue->work);
    } while (found > 0 && count < limit);
    return count;
}

uint32_t bfr_disk_letters(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                          bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    uint64_t after = cursor == NULL ? 0 : strtoull(cursor, NULL, 16);
    struct letter_copy *page = calloc(PAGE_LETTERS, sizeof *page);
    uint32_t visited = 0;
    bool more = page != NULL;

    while (more && visited < limit) {
        uint32_t wanted = limit - visited < PAGE_LETTERS ? limit - visited : PAGE_LETTERS;
        uint32_t count = (filter->flags & BFR_FILTER_RETRY) != 0 ? copy_failed_page(self, filter, &after, wanted, page)
                                                                 : copy_page(self, filter, &after, wanted, page);
        more = count == wanted;
        for (uint32_t i = 0; i < count; i++) {
            visited++;
            if (!visit(arg, &page[i].letter)) {
                more = false;
                break;
            }
        }
    }
    free(page);
    return visited;
}

// --- purging

static bool purge_entry(struct disk_queue *queue, struct disk_entry *entry)
{
    struct disk_entry *chain = NULL; // stays empty: the entry is pinned
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_entry_purge(queue, entry, &chain);
    pthread_mutex_unlock(&queue->mutex);
    return true;
}

// True: it is gone. Its key first: a batch that is gone under a known key is lost when its sender sends it again.
static bool purge_letter(struct disk_queue *queue, struct letter_in_hand *hand, const struct disk_told *told)
{
    bfr_disk_recent_forget(queue, &hand->note.batch);
    bool gone = hand->entry != NULL ? purge_entry(queue, hand->entry) : bfr_disk_letter_drop(queue, &hand->note);
    if (!gone)
        return false;
    if (told->tell != NULL)
        told->tell(told->arg, &hand->note.letter);
    return true;
}

// A bounded number of letters behind *after, so that the keeper has its turns. False: that was all.
static bool purge_some(struct disk_queue *queue, const struct bfr_filter *filter, bool dry_run,
                       const struct disk_told *told, uint64_t *after, uint64_t last, uint64_t *count)
{
    struct letter_in_hand hand;
    struct letter_walk walk;
    size_t looked = 0;

    pthread_mutex_lock(&queue->work);
    // The record that a letter was made from must not come back when the letter is gone.
    if (!dry_run)
        (void)bfr_disk_marks_flush(queue);
    bfr_letter_walk_begin(&walk, queue, *after, last);
    while (looked < PURGE_AT_ONCE && bfr_letter_walk_next(&walk, &hand)) {
        looked++;
        if (bfr_letter_matches(filter, &hand.note) && (dry_run || purge_letter(queue, &hand, told)))
            *count += 1;
        bfr_letter_put_back(queue, &hand);
    }
    *after = walk.after;
    bfr_letter_walk_end(&walk);
    if (!dry_run) {
        (void)fsync(queue->dir.letters);
        bfr_disk_recent_sync(queue);
    }
    pthread_mutex_unlock(&queue->work);
    return looked == PURGE_AT_ONCE;
}

uint64_t bfr_disk_purge(void *self, const struct bfr_filter *filter, bool held, bool dry_run,
                        void (*gone)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct disk_queue *queue = self;
    const struct disk_told told = {gone, arg};
    uint64_t count = 0, after = 0, last = bfr_letter_walk_last(queue);

    while (purge_some(queue, filter, dry_run, &told, &after, last, &count))
        bfr_disk_keeper_pass(queue);
    if (held && !bfr_filter_of_letters(filter))
        count += bfr_disk_purge_held(queue, filter, dry_run, &told);
    if (count > 0 && !dry_run)
        queue->host->ready(queue->host);
    return count;
}
