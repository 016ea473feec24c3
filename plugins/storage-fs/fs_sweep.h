// SPDX-License-Identifier: Apache-2.0
// Removes the temporary files that a crash left behind, on a thread of its own that starts with the sink and ends when it
// has seen {directory}/*/*/ once. Touches nothing but regular files with exactly the name of a temporary file that nobody
// has locked.
#ifndef BFR_FS_SWEEP_H
#define BFR_FS_SWEEP_H

#include <pthread.h>
#include <stdatomic.h>

#include <bfr/plugin.h>

#include "fs_tree.h"

#define FS_SWEEP_ENTRIES_MAX (4u << 20) // directory entries looked at, so that a huge tree ends some day

struct fs_sweep {
    const struct bfr_host *host;
    struct fs_tree *tree;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    uint64_t seen;
    uint64_t removed;
};

// A sweep that cannot start is no reason not to work: it is logged and left to the next start. [main]
void bfr_fs_sweep_start(struct fs_sweep *sweep, const struct bfr_host *host, struct fs_tree *tree);
void bfr_fs_sweep_stop(struct fs_sweep *sweep);

// The walk itself.
void bfr_fs_sweep_run(struct fs_sweep *sweep);

#endif
