// SPDX-License-Identifier: Apache-2.0
// The sink `s3`: one object {tenant}/{dataset}/{filename} for each batch in a bucket of an S3 store. This file is its
// descriptor and life; options are in s3_options.c, the work is in s3_store.c, s3_upload.c and s3_call.c.
#include <bfr/plugin.h>

#include "s3_store.h"

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct s3_store *store = bfr_s3_store_new(host, err);

    if (store == NULL)
        return BFR_EINVAL;
    *out_self = store;
    return BFR_OK;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    return bfr_s3_store_start(self, err);
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    return bfr_s3_store_put(self, deliveries, count);
}

static uint32_t max_in_flight(void *self)
{
    const struct s3_store *store = self;
    return store->options.workers;
}

static void drain(void *self, uint64_t deadline_ns)
{
    bfr_s3_store_drain(self, deadline_ns);
}

static void stop(void *self)
{
    bfr_s3_store_stop(self);
}

static void destroy(void *self)
{
    bfr_s3_store_free(self);
}

static void health(void *self, struct bfr_health *out)
{
    bfr_s3_store_health(self, out);
}

static bool probed(void *self)
{
    const struct s3_store *store = self;
    return bfr_s3_check_has_ended(&store->check);
}

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .drain = drain,
    .stop = stop,
    .destroy = destroy,
    .health = health,
    .probed = probed,
};

static const struct bfr_sink_vtable sink = {
    .size = sizeof sink,
    .put = put,
    .max_in_flight = max_in_flight,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "s3",
    .version = "1.0",
    .summary = "One object per batch in a bucket of an S3 store, checked by the store, never overwritten",
    .options = bfr_s3_option_table,
    .option_count = S3_OPTION_COUNT,
    .option_size = sizeof bfr_s3_option_table[0],
    .life = &life,
    .vtable = &sink,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
