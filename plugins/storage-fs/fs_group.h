// SPDX-License-Identifier: Apache-2.0
// One group of batches on its way through the phases of fs_store.c. Lives on the stack of the worker that stores it; no
// other thread sees it. Shared by fs_store.c and fs_place.c alone.
#ifndef BFR_FS_GROUP_H
#define BFR_FS_GROUP_H

#include "fs_store.h"

// One directory of the group.
struct group_dir {
    const char *tenant;
    const char *dataset;
    int fd;                  // -1: could not be opened
    bool to_settle;          // a name in it must be synced
    struct fs_result result; // why not, when fd is -1 or the sync failed
};

// One batch of the group.
struct group_file {
    const struct bfr_batch *batch;
    struct group_dir *dir; // NULL until it is known
    struct fs_temp data;
    struct fs_temp sidecar;
    struct fs_result result;
};

struct group {
    struct fs_store *store;
    int root_fd;
    size_t file_count;
    size_t dir_count;
    struct group_file files[FS_GROUP_MAX];
    struct group_dir dirs[FS_GROUP_MAX];
};

// The phase that gives a synced file its final name, or finds out why it cannot have it.
void bfr_fs_group_place(struct group *group, struct group_file *file);

// The file system refused: an outage, named with the file's path.
void bfr_fs_group_fail(const struct group *group, struct group_file *file, int error, const char *verb);

#endif
