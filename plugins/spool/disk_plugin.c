// SPDX-License-Identifier: Apache-2.0
// The queue `disk`: its descriptor, options and life. What is inside: disk_queue.h; how it works and why: docs/spool.md; what it
// writes: FORMAT.md.
#include <bfr/plugin.h>
#include <bfr/text.h>

#include "disk_commit.h"
#include "disk_lease.h"
#include "disk_letters.h"
#include "disk_life.h"
#include "disk_put.h"
#include "disk_recent.h"
#include "disk_room.h"
#include "tool.h"

#define SEGMENTS_MIN 16 // a full spool is at least that many segments, so that space comes back in small enough parts

static uint64_t integer(const struct bfr_host *host, const char *name)
{
    return (uint64_t)host->config_integer(host, name);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct disk_queue *queue = NULL;
    struct disk_options options = {
        .directory = host->config_string(host, "directory"),
        .max_size_bytes = integer(host, "max_size_bytes"),
        .segment_bytes = integer(host, "segment_bytes"),
        .min_free_bytes = integer(host, "min_free_bytes"),
        .commit_interval_ms = integer(host, "commit_interval_ms"),
        .ram_copies_bytes = integer(host, "ram_copies_bytes"),
        .fresh_share = host->config_number(host, "fresh_share"),
        .tenant_share = host->config_number(host, "tenant_share"),
        .dlq_max_share = host->config_number(host, "dlq_max_share"),
        .dlq_max_age_ms = integer(host, "dlq_max_age"),
        .recent_window_ms = integer(host, "recent_window"),
        .recent_max_entries = integer(host, "recent_max_entries"),
    };
    uint64_t most = options.max_size_bytes / SEGMENTS_MIN & ~UINT64_C(4095);
    if (options.segment_bytes > most)
        options.segment_bytes = most;
    uint32_t status = bfr_disk_new(host, &options, &queue, err);
    if (status == BFR_OK)
        *out_self = queue;
    return status;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    return bfr_disk_start(self, err);
}

// The window of what is remembered over a restart counts at the next one, which reads it anew.
static uint32_t reload(void *self, struct bfr_err *err)
{
    struct disk_queue *queue = self;
    (void)err;
    pthread_mutex_lock(&queue->mutex);
    queue->options.fresh_share = queue->host->config_number(queue->host, "fresh_share");
    pthread_mutex_unlock(&queue->mutex);
    bfr_recent_entries(&queue->recent, integer(queue->host, "recent_max_entries"));
    return BFR_OK;
}

static void drain(void *self, uint64_t deadline_ns)
{
    bfr_disk_commit_drain(self, deadline_ns);
}

static void stop(void *self)
{
    bfr_disk_stop(self);
}

static void destroy(void *self)
{
    bfr_disk_free(self);
}

static const struct bfr_option options[] = {
    {.name = "directory",
     .type = BFR_OPTION_PATH,
     .flags = BFR_OPTION_REQUIRED,
     .help = "where the spool is kept, in a part of its own (.bfr); made if it is missing"},
    {.name = "max_size_bytes",
     .type = BFR_OPTION_SIZE,
     .fallback = "1GiB",
     .min = "1MiB",
     .help = "most bytes under the directory, dead letters included; beyond it senders are told to come again"},
    {.name = "segment_bytes",
     .type = BFR_OPTION_SIZE,
     .fallback = "64MiB",
     .min = "64KiB",
     .max = "1GiB",
     .help = "size of one file; at most a sixteenth of max_size_bytes"},
    {.name = "min_free_bytes",
     .type = BFR_OPTION_SIZE,
     .fallback = "64MiB",
     .help = "what is left free on the file system, or 5 % of it if that is less"},
    {.name = "commit_interval_ms",
     .type = BFR_OPTION_DURATION,
     .fallback = "5",
     .max = "1000",
     .unit = "ms",
     .help = "how long a batch that no sender waits for may wait for others to share its sync"},
    {.name = "ram_copies_bytes",
     .type = BFR_OPTION_SIZE,
     .fallback = "64MiB",
     .help = "most bytes of bodies that stay in RAM after they are on the disk, so that they need not be read again"},
    {.name = "fresh_share",
     .type = BFR_OPTION_NUMBER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "0.5",
     .min = "0",
     .max = "1",
     .help = "share of the way out, by bytes, for new batches while there is a backlog from the disk",
     .inherits = "lanes.fresh_share"},
    {.name = "tenant_share",
     .type = BFR_OPTION_NUMBER,
     .fallback = "1.0",
     .min = "0.01",
     .max = "1",
     .help = "most that one tenant may hold of max_size_bytes"},
    {.name = "dlq_max_share",
     .type = BFR_OPTION_NUMBER,
     .fallback = "0.25",
     .min = "0",
     .max = "1",
     .help = "share of max_size_bytes for the files of dead letters; further ones stay in their segments"},
    {.name = "dlq_max_age",
     .type = BFR_OPTION_DURATION,
     .fallback = "0",
     .unit = "d",
     .help = "purge dead letters that are older; 0: keep them"},
    {.name = "recent_window",
     .type = BFR_OPTION_DURATION,
     .flags = BFR_OPTION_LIVE,
     .fallback = "1h",
     .help = "how long the keys of accepted batches are remembered over a restart",
     .inherits = "dedup.window"},
    {.name = "recent_max_entries",
     .type = BFR_OPTION_INTEGER,
     .flags = BFR_OPTION_LIVE,
     .fallback = "200000",
     .min = "1",
     .help = "how many of them",
     .inherits = "dedup.max_entries"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .drain = drain,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
    .health = bfr_disk_health,
};

static const struct bfr_queue_vtable queue_table = {
    .size = sizeof queue_table,
    .consumers = bfr_disk_consumers,
    .put = bfr_disk_put,
    .lease = bfr_disk_lease,
    .ack = bfr_disk_ack,
    .nack = bfr_disk_nack,
    .bury = bfr_disk_bury,
    .stats = bfr_disk_stats,
    .reserve = bfr_disk_reserve,
    .release = bfr_disk_release,
    .letters = bfr_disk_letters,
    .redrive = bfr_disk_redrive,
    .purge = bfr_disk_purge,
    .evict = bfr_disk_evict,
    .recent = bfr_disk_recent,
};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_QUEUE,
    .name = "disk",
    .version = "1.0",
    .summary = "Holds batches on disk: what it has confirmed survives a crash and a loss of power",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .life = &life,
    .vtable = &queue_table,
    .flags = BFR_FLAG_STABLE,
    .tools = bfr_spool_tools,
    .tool_count = TOOL_COUNT,
    .tool_size = sizeof bfr_spool_tools[0],
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
