// SPDX-License-Identifier: Apache-2.0
// The sink `fs`: files {directory}/{tenant}/{dataset}/{filename}. This file is its descriptor, options and life; the work
// is in fs_store.c, the workers are in fs_pool.c.
#include <stdlib.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

#include "fs_store.h"
#include "fs_sweep.h"

struct fs {
    struct fs_store store;
    struct fs_sweep sweep;
    struct fs_pool *pool;
};

static void destroy(void *self)
{
    struct fs *fs = self;

    bfr_fs_pool_free(fs->pool);
    bfr_fs_store_free(&fs->store);
    free(fs);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct fs *fs = calloc(1, sizeof *fs);

    if (fs == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    bool ok =
        bfr_fs_store_init(&fs->store, host, host->config_string(host, "directory"), host->config_bool(host, "sidecar"));
    fs->pool = bfr_fs_pool_new(host, (uint32_t)host->config_integer(host, "workers"), bfr_fs_store_group, &fs->store);
    if (!ok || fs->pool == NULL) {
        destroy(fs);
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    *out_self = fs;
    return BFR_OK;
}

// A directory that cannot be made now may be one that is mounted later: that is an outage, not a reason not to start.
static uint32_t start(void *self, struct bfr_err *err)
{
    struct fs *fs = self;
    struct fs_result result = {.outcome = BFR_STORED};

    if (!bfr_fs_tree_make_root(&fs->store.tree, &result) || !bfr_fs_tree_try_root(&fs->store.tree, &result)) {
        bfr_fs_store_set_trouble(&fs->store, result.text);
        bfr_log(fs->store.host, BFR_LOG_ERROR, "the directory cannot be used; batches wait until it can", "cause",
                result.text, NULL);
    }
    uint32_t status = bfr_fs_pool_start(fs->pool, err);
    if (status == BFR_OK)
        bfr_fs_sweep_start(&fs->sweep, fs->store.host, &fs->store.tree);
    return status;
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct fs *fs = self;
    return bfr_fs_pool_put(fs->pool, deliveries, count);
}

static uint32_t max_in_flight(void *self)
{
    const struct fs *fs = self;
    return bfr_fs_pool_window(fs->pool);
}

static void drain(void *self, uint64_t deadline_ns)
{
    struct fs *fs = self;
    bfr_fs_pool_drain(fs->pool, deadline_ns);
}

static void stop(void *self)
{
    struct fs *fs = self;
    bfr_fs_sweep_stop(&fs->sweep);
    bfr_fs_pool_stop(fs->pool);
}

static void health(void *self, struct bfr_health *out)
{
    struct fs *fs = self;
    bfr_fs_store_health(&fs->store, out);
}

static const struct bfr_option options[] = {
    {.name = "directory",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_REQUIRED,
     .help = "root of the tree {tenant}/{dataset}/{filename}; made at start if missing"},
    {.name = "sidecar",
     .type = BFR_OPTION_BOOL,
     .fallback = "false",
     .help = "write {filename}.json with the batch's envelope beside each file"},
    {.name = "workers",
     .type = BFR_OPTION_INTEGER,
     .fallback = "4",
     .min = "1",
     .max = "64",
     .help = "threads that write and sync"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .drain = drain,
    .stop = stop,
    .destroy = destroy,
    .health = health,
};

static const struct bfr_sink_vtable sink = {
    .size = sizeof sink,
    .put = put,
    .max_in_flight = max_in_flight,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "fs",
    .version = "1.0",
    .summary = "Files in a directory tree, one per batch, synced before they are confirmed, never overwritten",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .life = &life,
    .vtable = &sink,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
