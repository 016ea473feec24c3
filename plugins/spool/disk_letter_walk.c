// SPDX-License-Identifier: Apache-2.0
// See disk_letter_walk.h. The next one is the lower of the next file and the next entry.
#include "disk_letter_walk.h"

#include <stdlib.h>

#include "filter.h"

static bool take_entry(const struct letter_walk *walk, struct letter_in_hand *out)
{
    struct disk_queue *queue = walk->queue;
    *out = (struct letter_in_hand){.entry = bfr_disk_letter_pin(queue, walk->after, walk->last)};
    if (out->entry == NULL)
        return false;
    out->batch = bfr_disk_entry_envelope(queue, out->entry);
    bfr_disk_letter_note(out->entry, out->batch, &out->note);
    return true;
}

void bfr_letter_put_back(struct disk_queue *queue, struct letter_in_hand *hand)
{
    if (hand->entry != NULL)
        bfr_disk_letter_unpin(queue, hand->entry);
    else
        bfr_letter_note_free(&hand->note);
    if (hand->batch != NULL)
        queue->host->batch_release(queue->host, hand->batch);
}

void bfr_letter_walk_begin(struct letter_walk *walk, struct disk_queue *queue, uint64_t after, uint64_t last)
{
    *walk = (struct letter_walk){.queue = queue, .after = after, .last = last};
    walk->files = bfr_letter_list(queue->dir.letters, false, &walk->file_count);
    if (walk->files == NULL)
        walk->file_count = 0;
    while (walk->next < walk->file_count && walk->files[walk->next] <= after)
        walk->next++;
    while (walk->file_count > walk->next && walk->files[walk->file_count - 1] > last)
        walk->file_count--;
}

void bfr_letter_walk_end(struct letter_walk *walk)
{
    free(walk->files);
}

bool bfr_letter_walk_next(struct letter_walk *walk, struct letter_in_hand *out)
{
    struct disk_queue *queue = walk->queue;
    for (;;) {
        bool entry = take_entry(walk, out);
        bool file = walk->next < walk->file_count;
        if (entry && (!file || out->entry->sequence < walk->files[walk->next])) {
            walk->after = out->entry->sequence;
            return true;
        }
        if (entry)
            bfr_letter_put_back(queue, out);
        if (!file)
            return false;
        walk->after = walk->files[walk->next++];
        *out = (struct letter_in_hand){.entry = NULL};
        if (bfr_letter_read(queue->dir.letters, walk->after, &out->note))
            return true; // else it was said at start
    }
}

uint64_t bfr_letter_walk_last(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    const struct disk_segment *current = queue->current;
    uint64_t last = current != NULL ? current->file.id << 24 | current->records : queue->next_segment_id << 24;
    pthread_mutex_unlock(&queue->mutex);
    return last;
}

bool bfr_letter_matches(const struct bfr_filter *filter, const struct letter_note *note)
{
    return bfr_filter_matches(filter, &note->batch, note->id) &&
           bfr_filter_matches_letter(filter, &note->letter, note->consumers, note->consumer_count);
}
