// SPDX-License-Identifier: Apache-2.0
// What the disk queue has in RAM: entries, the segments they stand in, the sets of consumers they name. No file work, no
// call of the host but batch_release where said. `mutex` is held unless said otherwise.
#ifndef BFR_SPOOL_DISK_ENTRY_H
#define BFR_SPOOL_DISK_ENTRY_H

#include "disk_queue.h"
#include "marks.h"

// A new entry that waits for nobody yet. Without the mutex; NULL when memory is short.
struct disk_entry *bfr_disk_entry_new(const struct disk_queue *queue);
// Gives back the copy of its batch too. In no list, counted nowhere. Without the mutex.
void bfr_disk_entry_free(struct disk_queue *queue, struct disk_entry *entry);
// All of a chain linked by `next`. Without the mutex.
void bfr_disk_entries_free(struct disk_queue *queue, struct disk_entry *chain);

// Whose confirmations it needs and has: consumers of `set`, less those that are done. No mutex needed before it is entered.
void bfr_disk_entry_open(const struct disk_queue *queue, struct disk_entry *entry, const struct disk_set *set,
                         uint32_t confirmed, uint32_t buried);
// All that can fail for lack of memory about making it wait. False: nothing has changed.
bool bfr_disk_entry_enter(struct disk_queue *queue, struct disk_entry *entry, const char *tenant, uint8_t lane);
// Undo enter.
void bfr_disk_entry_leave(struct disk_queue *queue, struct disk_entry *entry);
// It may be leased from now on.
void bfr_disk_entry_offer(struct disk_queue *queue, struct disk_entry *entry);
// It may not be leased any more.
void bfr_disk_entry_withdraw(struct disk_queue *queue, struct disk_entry *entry);

// It stands in `segment` from now on. `anew`: just written, hence held; else segment and figures have it already.
void bfr_disk_entry_place(struct disk_queue *queue, struct disk_entry *entry, struct disk_segment *segment, bool anew);
// Held becomes buried: it waits for its file.
void bfr_disk_entry_bury(struct disk_queue *queue, struct disk_entry *entry);
// Done with: out of every list, count and share, onto *chain, to be freed once the mutex is. Its marks are the caller's.
void bfr_disk_entry_end(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain);
// The same for a record that nobody is to get any more, with its mark.
void bfr_disk_entry_purge(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain);
// Taken out of RAM while it stays on the disk: as end, but the segment still has it, and so have the figures.
void bfr_disk_entry_unload(struct disk_queue *queue, struct disk_entry *entry, struct disk_entry **chain);
// The end of looking at a pinned one.
void bfr_disk_entry_unpin(struct disk_entry *entry, struct disk_entry **chain);

static inline bool bfr_disk_entry_is_letter(const struct disk_entry *entry)
{
    return entry->settle.open == 0 && entry->settle.buried > 0;
}

static inline uint64_t bfr_disk_entry_record_bytes(const struct disk_entry *entry)
{
    return bfr_record_bytes(entry->envelope_bytes, entry->body_bytes);
}

// Drop the copy of its batch if nobody has it on lease; returns the reference, for the caller to release, or NULL.
const struct bfr_batch *bfr_disk_copy_take(struct disk_queue *queue, struct disk_entry *entry);
// Remember the copy as one that can be given up.
void bfr_disk_copy_keep(struct disk_queue *queue, struct disk_entry *entry);

// A mark for the segment of `entry`, written by the commit thread soon.
void bfr_disk_mark(struct disk_queue *queue, const struct disk_entry *entry, uint32_t number, uint32_t state,
                   uint32_t burial);
void bfr_disk_mark_add(struct disk_queue *queue, struct disk_segment *segment, const struct mark *mark);

// The set of those names; made if need be; NULL when memory is short.
const struct disk_set *bfr_disk_set(struct disk_queue *queue, const char *const *names, uint32_t count);

struct disk_segment *bfr_disk_segment_new(void);
// Descriptors are closed, lists are empty. Without the mutex.
void bfr_disk_segment_free(struct disk_segment *segment);

// News for the keeper, for the commit thread.
void bfr_disk_poke_keeper(struct disk_queue *queue);
void bfr_disk_poke_commit(struct disk_queue *queue);

#endif
