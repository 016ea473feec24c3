// SPDX-License-Identifier: Apache-2.0
// The queue `memory`: its descriptor, option and life. The queue itself is memory_queue.h. It has no thread: every put
// completes inside the call, so there is nothing to drain.
#include <bfr/plugin.h>
#include <bfr/text.h>

#include "memory_queue.h"

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct memory_queue *queue = NULL;
    uint32_t status = bfr_memory_new(host, (uint64_t)host->config_integer(host, "max_bytes"), &queue, err);
    if (status == BFR_OK)
        *out_self = queue;
    return status;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    const struct memory_queue *queue = self;
    if (queue->consumer_count == 0)
        return bfr_err_set(err, BFR_EINVAL, "nothing takes batches from this queue; put a sink or a queue after it");
    return BFR_OK;
}

static void destroy(void *self)
{
    bfr_memory_free(self);
}

static const struct bfr_option options[] = {
    {.name = "max_bytes",
     .type = BFR_OPTION_SIZE,
     .fallback = "256MiB",
     .min = "1",
     .help = "most bytes of bodies held in RAM, dead letters included; a limit inside memory.budget"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .destroy = destroy,
};

static const struct bfr_queue_vtable queue_table = {
    .size = sizeof queue_table,
    .consumers = bfr_memory_consumers,
    .put = bfr_memory_put,
    .lease = bfr_memory_lease,
    .ack = bfr_memory_ack,
    .nack = bfr_memory_nack,
    .bury = bfr_memory_bury,
    .stats = bfr_memory_stats,
    .reserve = bfr_memory_reserve,
    .release = bfr_memory_release,
    .letters = bfr_memory_letters,
    .redrive = bfr_memory_redrive,
    .purge = bfr_memory_purge,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_QUEUE,
    .name = "memory",
    .version = "1.0",
    .summary = "Holds batches in RAM, bounded, fair over tenants; what it holds is lost with the process",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .life = &life,
    .vtable = &queue_table,
    .flags = BFR_FLAG_VOLATILE,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
