// SPDX-License-Identifier: Apache-2.0
// The workers of the sink and the bounded hand-over to them. A worker takes its share of what waits, so groups are small
// when little waits and grow under load. Each delivery taken is passed to `run` once, which completes it, or completed
// here at stop.
#ifndef BFR_FS_POOL_H
#define BFR_FS_POOL_H

#include <bfr/plugin.h>

#define FS_GROUP_MAX 32 // batches in one group; also the descriptors that a worker may hold (twice with sidecars)

struct fs_pool;

// Store and complete `count` deliveries; may block. [plugin]
typedef void (*fs_run_fn)(void *arg, const struct bfr_delivery *const *deliveries, size_t count);

// `workers` threads, groups of at most FS_GROUP_MAX. NULL when memory is short.
struct fs_pool *bfr_fs_pool_new(const struct bfr_host *host, uint32_t workers, fs_run_fn run, void *arg);
BFR_MUST_CHECK uint32_t bfr_fs_pool_start(struct fs_pool *pool, struct bfr_err *err);
size_t bfr_fs_pool_put(struct fs_pool *pool, const struct bfr_delivery *const *deliveries, size_t count);
// Deliveries that can be here at once.
uint32_t bfr_fs_pool_window(const struct fs_pool *pool);
// Wait until nothing is left, or the deadline.
void bfr_fs_pool_drain(struct fs_pool *pool, uint64_t deadline_ns);
// Let workers finish their groups, join them, complete the rest with RETRY. Harmless when nothing was started.
void bfr_fs_pool_stop(struct fs_pool *pool);
void bfr_fs_pool_free(struct fs_pool *pool);

#endif
