// SPDX-License-Identifier: Apache-2.0
// What the disk queue tells of itself: metrics and health. Registered in create; set by the keeper once a second, the commit
// figures by the commit thread.
#ifndef BFR_SPOOL_DISK_FIGURES_H
#define BFR_SPOOL_DISK_FIGURES_H

#include <bfr/plugin.h>

struct disk_queue;

struct disk_figures {
    struct bfr_metric *commits_total;
    struct bfr_metric *commit_batches;
    struct bfr_metric *unsettled_age;
    struct bfr_metric *spool_bytes;
    struct bfr_metric *spool_limit;
    struct bfr_metric *spool_free;
    struct bfr_metric *spool_full;
    struct bfr_metric *letters_bytes;
    struct bfr_metric *letters_limit;
    // For the forecast: what was used when, and how fast that grows (bytes a second, smoothed). The keeper's.
    uint64_t last_used;
    uint64_t last_ns;
    double growth;
    bool letters_crowd;    // letters have nearly filled their share, and that was said; the keeper's
    uint64_t full_seconds; // as in bfr_queue_stats; under the queue's mutex
};

// [main, create]
void bfr_disk_figures_register(struct disk_queue *queue);
// A group is on the disk. Commit thread, without the mutex.
void bfr_disk_figures_commit(struct disk_queue *queue, size_t batches);
// Everything else. Keeper, without the mutex.
void bfr_disk_figures_update(struct disk_queue *queue);

// The slot of the life table.
void bfr_disk_health(void *self, struct bfr_health *out);

#endif
