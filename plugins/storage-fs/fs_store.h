// SPDX-License-Identifier: Apache-2.0
// Storing a group of batches: the order of writes, syncs and names that the promise needs, and no sync more. One call
// per group, any worker, concurrently.
#ifndef BFR_FS_STORE_H
#define BFR_FS_STORE_H

#include <pthread.h>

#include <bfr/plugin.h>

#include "fs_file.h"
#include "fs_pool.h"
#include "fs_tree.h"

struct fs_store {
    const struct bfr_host *host;
    struct fs_tree tree;
    struct fs_temp_names names;
    bool sidecar;

    pthread_mutex_t mutex; // guards trouble
    char trouble[256];     // the last outage, empty since something could be stored again
};

BFR_MUST_CHECK bool bfr_fs_store_init(struct fs_store *store, const struct bfr_host *host, const char *directory,
                                      bool sidecar);
void bfr_fs_store_free(struct fs_store *store);

// Store up to FS_GROUP_MAX batches and complete all of them. `self` is the struct fs_store.
void bfr_fs_store_group(void *self, const struct bfr_delivery *const *deliveries, size_t count);

// Remember an outage for health; NULL: over.
void bfr_fs_store_set_trouble(struct fs_store *store, const char *text);
void bfr_fs_store_health(struct fs_store *store, struct bfr_health *out);

#endif
