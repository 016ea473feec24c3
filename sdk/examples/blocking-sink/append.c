/* SPDX-License-Identifier: Apache-2.0 */
/* Sink "append": every batch is appended to {directory}/{tenant}+{dataset}.gz. Gzip members that follow one another are
 * again a gzip file, so `zcat` reads a dataset whole. At least once: a batch delivered again is appended again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bfr/blocking_sink.h>
#include <bfr/plugin.h>

struct append {
    struct bfr_blocking_sink *pool; /* first: the slots below expect it there */
    const char *directory;
};

/* Make a new file's name last. */
static int sync_directory(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failure = directory < 0 ? -1 : fsync(directory);
    if (directory >= 0)
        close(directory);
    return failure;
}

/* All of the batch, or nothing: what a full disk let through is cut off again, so that no member is torn. */
static int append(int file, const struct bfr_batch *batch, const char *directory)
{
    off_t end = lseek(file, 0, SEEK_END);
    for (uint32_t i = 0; i < batch->span_count; i++) {
        errno = ENOSPC; /* what a short write means, which sets none */
        if (write(file, batch->spans[i].data, batch->spans[i].size) != (ssize_t)batch->spans[i].size) {
            int cause = errno;
            errno = ftruncate(file, end) == 0 ? cause : errno;
            return -1;
        }
    }
    return end == 0 ? sync_directory(directory) : 0;
}

static void store(void *self, const struct bfr_batch *batch, struct bfr_result *out)
{
    const struct append *me = self;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s+%s.gz", me->directory, batch->tenant, batch->dataset);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | O_CLOEXEC, 0640);
    if (file < 0 || flock(file, LOCK_EX) != 0 || append(file, batch, me->directory) != 0)
        bfr_result_outage(out, "cannot append to '%s': %s", path, strerror(errno));
    if (file >= 0)
        close(file);
}

static void destroy(void *self)
{
    struct append *me = self;
    bfr_blocking_sink_free(me->pool);
    free(me);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct append *me = calloc(1, sizeof *me);
    if (me == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    me->directory = host->config_string(host, "directory");
    me->pool = bfr_blocking_sink_new(host, (uint32_t)host->config_integer(host, "workers"), store, me, err);
    if (me->pool == NULL) {
        free(me);
        return BFR_EFAIL;
    }
    *out_self = me;
    return BFR_OK;
}

static const struct bfr_option options[] = {
    {.name = "directory", .type = BFR_OPTION_PATH, .flags = BFR_OPTION_REQUIRED, .help = "where the files are"},
    {.name = "workers",
     .type = BFR_OPTION_INTEGER,
     .fallback = "4",
     .min = "1",
     .max = "64",
     .help = "files at a time"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = bfr_blocking_sink_slot_start,
    .drain = bfr_blocking_sink_slot_drain,
    .stop = bfr_blocking_sink_slot_stop,
    .destroy = destroy,
};

static const struct bfr_sink_vtable sink = {sizeof sink, bfr_blocking_sink_slot_put, bfr_blocking_sink_slot_window};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "append",
    .version = "1.0",
    .summary = "appends each batch to one gzip file per dataset",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof *options,
    .life = &life,
    .vtable = &sink,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
