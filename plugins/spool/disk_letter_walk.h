// SPDX-License-Identifier: Apache-2.0
// All dead letters of the queue in order of id, filed or not, one in hand at a time. `work` is held all the while, so that no
// letter moves.
#ifndef BFR_SPOOL_DISK_LETTER_WALK_H
#define BFR_SPOOL_DISK_LETTER_WALK_H

#include "disk_letters.h"

// A letter in hand: from its file, or a pinned entry.
struct letter_in_hand {
    struct letter_note note;
    struct disk_entry *entry;      // NULL: it has files
    const struct bfr_batch *batch; // of the entry
};

// The letters with files, and how far the walk is.
struct letter_walk {
    struct disk_queue *queue;
    uint64_t *files;
    size_t file_count;
    size_t next;
    uint64_t after, last;
};

// From the first letter with a sequence above `after` to the one with `last`.
void bfr_letter_walk_begin(struct letter_walk *walk, struct disk_queue *queue, uint64_t after, uint64_t last);
// The next one; give it back with bfr_letter_put_back. False: that was all.
bool bfr_letter_walk_next(struct letter_walk *walk, struct letter_in_hand *out);
void bfr_letter_walk_end(struct letter_walk *walk);
void bfr_letter_put_back(struct disk_queue *queue, struct letter_in_hand *hand);
// The highest sequence there is: what comes later is not of a walk that began before.
uint64_t bfr_letter_walk_last(struct disk_queue *queue);
// Is the letter, by all that is asked of it, one of those?
bool bfr_letter_matches(const struct bfr_filter *filter, const struct letter_note *note);

#endif
