// SPDX-License-Identifier: Apache-2.0
// The directories of the tree {directory}/{tenant}/{dataset}: opens and makes them without ever following a symbolic link
// below the root, and sees to it that their names are on disk before anything in them is confirmed. Keeps no descriptor
// open: directories may be moved, removed and mounted over while the daemon runs. Any worker, concurrently.
#ifndef BFR_FS_TREE_H
#define BFR_FS_TREE_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include <bfr/batch.h>

#include "fs_error.h"

#define FS_PATH_SIZE  (PATH_MAX + 512) // for messages: the root, two ids and a name
#define FS_KNOWN_DIRS 4096             // a power of two

// Which directory it is, also after it was removed and another one got its inode number.
struct fs_dir_identity {
    uint64_t device;
    uint64_t inode;
    int64_t born_ns;
};

struct fs_tree {
    const char *directory;         // owned by the host
    atomic_bool no_openat2;        // the kernel or a sandbox refused it
    pthread_mutex_t mutex;         // guards known
    struct fs_dir_identity *known; // directories whose names are on disk, by hash; a collision costs one more fsync
};

BFR_MUST_CHECK bool bfr_fs_tree_init(struct fs_tree *tree, const char *directory);
void bfr_fs_tree_free(struct fs_tree *tree);

// Make the root and what is missing above it.
BFR_MUST_CHECK bool bfr_fs_tree_make_root(struct fs_tree *tree, struct fs_result *result);
// Would the root take a file now? Asks, writes nothing. False with *result written.
BFR_MUST_CHECK bool bfr_fs_tree_try_root(struct fs_tree *tree, struct fs_result *result);
// The root's descriptor, or -1 with *result written.
int bfr_fs_tree_open_root(struct fs_tree *tree, struct fs_result *result);
// The descriptor of {tenant}/{dataset} below root_fd, made if missing, its name durable; or -1 with *result written.
int bfr_fs_tree_open(struct fs_tree *tree, int root_fd, const char *tenant, const char *dataset,
                     struct fs_result *result);
// Open one existing directory `name` in at_fd, never through a symbolic link. -1 with errno.
int bfr_fs_tree_open_step(int at_fd, const char *name);

// "{directory}/{tenant}[/{dataset}[/{filename}]]" into out[FS_PATH_SIZE]; NULL ends the path.
void bfr_fs_tree_path(const struct fs_tree *tree, const char *tenant, const char *dataset, const char *filename,
                      char *out);

#endif
