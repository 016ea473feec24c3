// SPDX-License-Identifier: Apache-2.0
// Dead letters of the disk queue: filed in dlq/, or, when there is no room, still in their segments; and purging, which
// reaches held batches too.
#ifndef BFR_SPOOL_DISK_LETTERS_H
#define BFR_SPOOL_DISK_LETTERS_H

#include "disk_queue.h"
#include "letter_file.h"

// The slots of the queue table.
uint32_t bfr_disk_letters(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                          bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg);
uint64_t bfr_disk_redrive(void *self, const struct bfr_filter *filter, bool dry_run,
                          void (*moved)(void *arg, const struct bfr_letter *letter), void *arg);
uint64_t bfr_disk_purge(void *self, const struct bfr_filter *filter, bool held, bool dry_run,
                        void (*gone)(void *arg, const struct bfr_letter *letter), void *arg);

// At start: which letters have files. False when memory is short.
bool bfr_disk_letters_list(struct disk_queue *queue);
// Tell the host's books of them. Keeper, first of all.
void bfr_disk_letters_count(struct disk_queue *queue);
// Write the files of one letter that has none. False: there is none, or no room. Keeper, `work` is held.
bool bfr_disk_letters_file_one(struct disk_queue *queue);
// Purge what is past dlq_max_age. Keeper, `work` is held.
void bfr_disk_letters_expire(struct disk_queue *queue);

// Between the files of this subject; `work` is held.
struct disk_told {
    void (*tell)(void *arg, const struct bfr_letter *letter);
    void *arg;
};
// Remove a letter's files and figures; false when they cannot be removed.
bool bfr_disk_letter_drop(struct disk_queue *queue, const struct letter_note *note);
// What is known of an entry, which is pinned, and so is its segment. `batch`: its envelope at least, or NULL when that cannot
// be read. Texts are borrowed from all three.
void bfr_disk_letter_note(const struct disk_entry *entry, const struct bfr_batch *batch, struct letter_note *out);
// The envelope of a pinned entry: one reference, or NULL. *out_result says why not.
const struct bfr_batch *bfr_disk_entry_envelope(struct disk_queue *queue, const struct disk_entry *entry);
// Pin the first unfiled letter with a sequence above `after`, up to `last`, and its segment; NULL: there is none.
struct disk_entry *bfr_disk_letter_pin(struct disk_queue *queue, uint64_t after, uint64_t last);
void bfr_disk_letter_unpin(struct disk_queue *queue, struct disk_entry *entry);
// Held batches that match, and are not leased; takes `work` itself. Returns how many.
uint64_t bfr_disk_purge_held(struct disk_queue *queue, const struct bfr_filter *filter, bool dry_run,
                             const struct disk_told *told);

#endif
