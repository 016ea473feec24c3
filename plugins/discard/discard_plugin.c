// SPDX-License-Identifier: Apache-2.0
// The sink `discard`: confirms every batch and forgets it. For measuring the stages before it, and the smallest
// complete sink: a descriptor, a life of two calls, a table with one. It has no thread, no lock and no state but the
// host, so put may run on several pumps at once.
#include <bfr/plugin.h>
#include <bfr/text.h>

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)err;
    *out_self = (void *)host; // nothing of our own to keep
    return BFR_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bfr_complete_stored(self, deliveries[i]);
    return count;
}

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .destroy = destroy,
};

static const struct bfr_sink_vtable sink = {
    .size = sizeof sink,
    .put = put,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "discard",
    .version = "1.0",
    .summary = "Confirms every batch and forgets it; for measuring, and as the smallest example of a sink",
    .option_size = sizeof(struct bfr_option),
    .life = &life,
    .vtable = &sink,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
