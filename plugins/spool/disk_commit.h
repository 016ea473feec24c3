// SPDX-License-Identifier: Apache-2.0
// The commit thread: groups of batches to the disk, and between them the marks and recent.log.
#ifndef BFR_SPOOL_DISK_COMMIT_H
#define BFR_SPOOL_DISK_COMMIT_H

#include "disk_queue.h"

// Start the thread; stop it: what it has not begun to write is completed with RETRY, marks are written, then it ends.
BFR_MUST_CHECK uint32_t bfr_disk_commit_start(struct disk_queue *queue, struct bfr_err *err);
void bfr_disk_commit_stop(struct disk_queue *queue);
// Wait until nothing is on its way to the disk, or the deadline (host clock). Main thread.
void bfr_disk_commit_drain(struct disk_queue *queue, uint64_t deadline_ns);

// A segment for a record of that many bytes becomes the current one; false: queue->failure says why. Commit thread.
bool bfr_disk_roll(struct disk_queue *queue, uint64_t record_bytes);
// The current segment is never written again. Commit thread.
void bfr_disk_seal(struct disk_queue *queue);
// Write the id from which on no segment id has been used, well ahead. False with errno. Commit thread or start.
bool bfr_disk_checkpoint(struct disk_queue *queue, uint64_t next_id);

// Write and sync the marks of all segments and recent.log. Commit thread, or whoever is left after it.
void bfr_disk_sync_marks(struct disk_queue *queue);
// Have all marks made so far written and synced by the commit thread. False: not all of them are. No lock is held but `work`.
bool bfr_disk_marks_flush(struct disk_queue *queue);

// The last sync of marks: what went wrong, 0: nothing. Logged when it changes.
void bfr_disk_marks_trouble(struct disk_queue *queue, int error);

// Writing did not work, and why: remembered, and logged when it is news. `segment_id` 0: none in particular.
void bfr_disk_fail(struct disk_queue *queue, const char *what, uint64_t segment_id, int error);

// Wait on `condition` with the mutex held, at most until `due_ns` of the host's clock (UINT64_MAX: no limit).
void bfr_disk_wait(struct disk_queue *queue, pthread_cond_t *condition, uint64_t due_ns);
// A thread with all signals blocked and a name.
BFR_MUST_CHECK uint32_t bfr_disk_thread(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg,
                                        struct bfr_err *err);

#endif
