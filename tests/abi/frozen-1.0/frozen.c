// SPDX-License-Identifier: Apache-2.0
// A plugin built from the headers as they were at ABI 1.0, next to this file. It uses every part of the host table that
// a sink may use, so that a host that moved a slot would be caught. Neither the headers nor this file change any more.
#include <bfr/ext/status.h>
#include <bfr/plugin.h>

struct frozen {
    const struct bfr_host *host;
    struct bfr_metric *puts;
    const struct bfr_batch *kept;
    bool posted;
};

static struct frozen only; // one stage is enough for this test

static const struct bfr_option options[] = {
    {.name = "word", .type = BFR_OPTION_STRING, .fallback = "ice", .choices = "ice|frost", .help = "a word"},
    {.name = "cold", .type = BFR_OPTION_BOOL, .fallback = "true", .help = "a bool"},
    {.name = "count", .type = BFR_OPTION_INTEGER, .fallback = "-3", .min = "-5", .max = "5", .help = "an integer"},
    {.name = "share", .type = BFR_OPTION_NUMBER, .fallback = "0.25", .help = "a number"},
    {.name = "room", .type = BFR_OPTION_SIZE, .fallback = "64KiB", .help = "a size"},
    {.name = "pause", .type = BFR_OPTION_DURATION, .fallback = "90", .unit = "m", .help = "a duration"},
    {.name = "file", .type = BFR_OPTION_PATH, .help = "a path, unset"},
    {.name = "names", .type = BFR_OPTION_LIST, .help = "a list, unset"},
};

static bool same(const char *left, const char *right)
{
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

static uint32_t fail(struct bfr_err *err, const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof err->text; i++)
        err->text[i] = text[i];
    err->text[i] = '\0';
    return BFR_EFAIL;
}

static const char *check_options(const struct bfr_host *host)
{
    size_t count = 1;
    if (!same(host->config_string(host, "word"), "ice"))
        return "word";
    if (!host->config_bool(host, "cold"))
        return "cold";
    if (host->config_integer(host, "count") != -3)
        return "count";
    if (host->config_number(host, "share") != 0.25)
        return "share";
    if (host->config_integer(host, "room") != 65536)
        return "room";
    if (host->config_integer(host, "pause") != 90 * 60 * 1000)
        return "pause";
    if (host->config_has(host, "file") || !same(host->config_string(host, "file"), ""))
        return "file";
    (void)host->config_list(host, "names", &count);
    return count == 0 ? NULL : "names";
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    static const char *const labels[] = {"tenant", NULL};
    if (host->size < sizeof *host || !same(host->stage, "old"))
        return fail(err, "the host table is not that of ABI 1.0");
    const char *wrong = check_options(host);
    if (wrong != NULL)
        return fail(err, wrong);
    if (host->monotonic_ns(host) == 0 || host->wall_ns(host) == 0)
        return fail(err, "no clock");
    if (host->get_extension(host, "nobody/1") != NULL)
        return fail(err, "an extension that nobody offers");
    only = (struct frozen){.host = host};
    only.puts =
        host->metric_register(host, BFR_METRIC_COUNTER, "frozen_puts_total", "Puts of the frozen plugin", labels);
    *out_self = &only;
    return only.puts == NULL ? fail(err, "no metric") : BFR_OK;
}

static void on_main(void *arg)
{
    ((struct frozen *)arg)->posted = true;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct frozen *me = self;
    static const char *const fields[] = {"headers", "1.0", NULL};
    me->host->log(me->host, BFR_LOG_INFO, "frozen plugin started", fields);
    me->host->ready(me->host);
    return me->host->post(me->host, on_main, me) ? BFR_OK : fail(err, "post was refused");
}

// Takes the first delivery, keeps its batch, says RETRY; the rest is left.
static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct frozen *me = self;
    if (count == 0)
        return 0;
    const struct bfr_batch *batch = deliveries[0]->batch;
    const char *const labels[] = {batch->tenant};
    me->host->metric_add(me->host, me->puts, labels, 1);
    me->host->batch_retain(me->host, batch);
    me->kept = batch;
    const struct bfr_completion completion = {.size = sizeof completion,
                                              .outcome = BFR_RETRY,
                                              .token = deliveries[0]->token,
                                              .flags = BFR_OUTAGE,
                                              .retry_after_ms = 1500,
                                              .text = "as cold as ever"};
    const struct bfr_completion *const list[] = {&completion};
    me->host->complete(me->host, list, 1);
    return 1;
}

static uint32_t max_in_flight(void *self)
{
    (void)self;
    return 7;
}

static void stop(void *self)
{
    struct frozen *me = self;
    if (me->kept != NULL)
        me->host->batch_release(me->host, me->kept);
    me->kept = NULL;
}

static void destroy(void *self)
{
    (void)self;
}

static void health(void *self, struct bfr_health *out)
{
    struct frozen *me = self;
    out->state = me->posted ? BFR_HEALTH_OK : BFR_HEALTH_DEGRADED;
    if (!me->posted)
        out->reason[0] = '?';
}

static const struct bfr_life life = {
    .size = sizeof life, .create = create, .start = start, .stop = stop, .destroy = destroy, .health = health};
static const struct bfr_sink_vtable sink = {.size = sizeof sink, .put = put, .max_in_flight = max_in_flight};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "frozen",
    .version = "1.0.0",
    .summary = "Built from the headers of ABI 1.0",
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
