// SPDX-License-Identifier: Apache-2.0
// recent.log, as FORMAT.md lays it out: keys and hashes of what was accepted lately. Appended without waiting for the
// disk, synced now and then. When it is full it becomes recent.old, and what was there before is gone: that takes
// no more space and no more time than two renames. Knows no queue.
#ifndef BFR_SPOOL_RECENT_LOG_H
#define BFR_SPOOL_RECENT_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/queue.h>

// Instead of a sequence: the batch was purged, and its key with it.
#define RECENT_PURGED UINT64_C(0)

#define RECENT_NAME       "recent.log"
#define RECENT_OLD_NAME   "recent.old"
#define RECENT_HEAD_BYTES 64u
#define RECENT_ENTRY_MAX  (RECENT_HEAD_BYTES + 2 * (BFR_ID_MAX + 1) + BFR_FILENAME_MAX + 1 + 4)

struct recent_log {
    int directory;         // the caller's
    pthread_mutex_t mutex; // guards the rest; held across file work, so nothing quick waits for it
    int fd;                // -1: not open
    uint64_t bytes;
    uint64_t entries;
    uint64_t old_bytes;                // of recent.old
    uint64_t most_bytes, most_entries; // of one file
    bool dirty;                        // appended since the last sync
};

typedef void (*recent_visit_fn)(void *arg, const struct bfr_recent *recent, uint64_t sequence);

void bfr_recent_init(struct recent_log *log);
// Open or make it; false with errno (then there is none, and appending does nothing). `directory` outlives it.
bool bfr_recent_open(struct recent_log *log, int directory);
void bfr_recent_close(struct recent_log *log);
// How large either file may grow. Before the first append.
void bfr_recent_limit(struct recent_log *log, uint64_t most_entries, uint64_t most_bytes);
// Another number of them while it is in use; what is beyond goes with the next exchange of files. [any]
void bfr_recent_entries(struct recent_log *log, uint64_t most);

// One entry of `batch`, whose record has that sequence (or RECENT_PURGED), into out[RECENT_ENTRY_MAX]; returns its length, 0 when a name is too
// long to be any sender's.
size_t bfr_recent_encode(const struct bfr_batch *batch, uint64_t sequence, uint8_t *out);
// Encoded entries behind the others; false with errno.
bool bfr_recent_append(struct recent_log *log, const uint8_t *bytes, size_t size, size_t entries);
// The batch's key is free from here on; false with errno.
bool bfr_recent_forget(struct recent_log *log, const struct bfr_batch *batch);
bool bfr_recent_sync(struct recent_log *log);
// Of both files.
uint64_t bfr_recent_bytes(struct recent_log *log);

// Visit every good entry in order; false with errno. `visit` may be NULL: just count them.
bool bfr_recent_read(struct recent_log *log, recent_visit_fn visit, void *arg);

#endif
