// SPDX-License-Identifier: Apache-2.0
// For the tests of the plugin host: a stage of a plugin that is linked in and does what each test sets it to, and what the
// stage's user saw of it. Include it after cmocka.h.
#ifndef TEST_PLUGIN_BENCH_H
#define TEST_PLUGIN_BENCH_H

#include <stdlib.h>

#include <bfr/text.h>

#include "plugin_stage.h"
#include "test_plugin_support.h"

// What the plugin does, and what was done to it.
static struct script {
    const struct bfr_host *host;
    char calls[128];
    uint32_t create_status, start_status;
    const char *error;
    size_t put_result;
    bool probed;
    uint32_t health_state;
    void (*in_create)(const struct bfr_host *host);
    void (*in_start)(const struct bfr_host *host);
    void (*in_stop)(const struct bfr_host *host);
} script;

static inline void note(const char *call)
{
    strcat(script.calls, call);
    strcat(script.calls, " ");
}

static inline uint32_t plugin_create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    note("create");
    script.host = host;
    if (script.in_create != NULL)
        script.in_create(host);
    if (script.create_status != BFR_OK)
        return script.error != NULL ? bfr_err_set(err, script.create_status, "%s", script.error) : script.create_status;
    *out_self = &script;
    return BFR_OK;
}

static inline uint32_t plugin_start(void *self, struct bfr_err *err)
{
    assert_ptr_equal(self, &script);
    note("start");
    if (script.in_start != NULL)
        script.in_start(script.host);
    return script.start_status == BFR_OK ? BFR_OK : bfr_err_set(err, script.start_status, "%s", script.error);
}

static inline void plugin_drain(void *self, uint64_t deadline_ns)
{
    (void)self;
    note(deadline_ns == 42 ? "drain" : "drain?");
}

static inline void plugin_stop(void *self)
{
    (void)self;
    note("stop");
    if (script.in_stop != NULL)
        script.in_stop(script.host);
}

static inline void plugin_destroy(void *self)
{
    assert_ptr_equal(self, &script);
    note("destroy");
}

static inline uint32_t plugin_reload(void *self, struct bfr_err *err)
{
    (void)self;
    note("reload");
    return script.error == NULL ? BFR_OK : bfr_err_set(err, BFR_EINVAL, "%s", script.error);
}

static inline void plugin_health(void *self, struct bfr_health *out)
{
    (void)self;
    out->state = script.health_state;
    memset(out->reason, 'x', sizeof out->reason); // forgets the end
}

static inline bool plugin_probed(void *self)
{
    (void)self;
    return script.probed;
}

static inline size_t plugin_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    (void)self;
    (void)deliveries;
    (void)count;
    return script.put_result;
}

static const struct bfr_option options[] = {
    {.name = "text", .type = BFR_OPTION_STRING, .fallback = "words", .help = "h"},
    {.name = "path", .type = BFR_OPTION_PATH, .help = "h"},
    {.name = "flag", .type = BFR_OPTION_BOOL, .fallback = "true", .help = "h"},
    {.name = "count", .type = BFR_OPTION_INTEGER, .fallback = "12", .help = "h"},
    {.name = "size", .type = BFR_OPTION_SIZE, .fallback = "2KiB", .help = "h"},
    {.name = "pause", .type = BFR_OPTION_DURATION, .fallback = "3s", .help = "h"},
    {.name = "share", .type = BFR_OPTION_NUMBER, .fallback = "0.5", .help = "h"},
    {.name = "list", .type = BFR_OPTION_LIST, .help = "h"},
};

static const struct bfr_life life = {sizeof life,    plugin_create, plugin_start,  plugin_drain, plugin_stop,
                                     plugin_destroy, plugin_reload, plugin_health, plugin_probed};
static const struct bfr_sink_vtable sink = {.size = sizeof sink, .put = plugin_put};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD,
                                         .kind = BFR_KIND_SINK,
                                         .name = "scripted",
                                         .version = "3.1",
                                         .summary = "Does as it is told",
                                         .options = options,
                                         .option_count = sizeof options / sizeof options[0],
                                         .option_size = sizeof options[0],
                                         .life = &life,
                                         .vtable = &sink};

// A stage of that plugin, what its hooks saw, and a main loop of one post.
struct bench {
    struct bfr_stage_env env;
    struct bfr_metrics *metrics;
    struct bfr_values *values;
    struct bfr_stage *stage;
    const struct bfr_host *host;
    size_t completions, readies;
    struct bfr_completion last;
    void (*posted)(void *arg);
    void *posted_arg;
    struct capture log;
};

static inline void on_complete(void *arg, const struct bfr_completion *const *completions, size_t count)
{
    struct bench *bench = arg;
    bench->completions += count;
    bench->last = *completions[count - 1];
}

static inline void on_ready(void *arg)
{
    ((struct bench *)arg)->readies++;
}

static inline bool take_post(void *arg, void (*fn)(void *), void *fn_arg)
{
    struct bench *bench = arg;
    if (bench->posted != NULL)
        return false;
    bench->posted = fn;
    bench->posted_arg = fn_arg;
    return true;
}

static inline void run_posted(struct bench *bench)
{
    void (*fn)(void *arg) = bench->posted;
    bench->posted = NULL;
    fn(bench->posted_arg);
}

static const struct bfr_status_1 status_extension = {.size = sizeof status_extension};
static const struct bfr_activity_1 activity_extension = {.size = sizeof activity_extension};
static const struct bfr_metrics_1 metrics_extension = {.size = sizeof metrics_extension};

static inline void set_up_unhooked(struct bench *bench, const char *name)
{
    memset(bench, 0, sizeof *bench);
    memset(&script, 0, sizeof script);
    script.health_state = BFR_HEALTH_OK;
    bench->metrics = bfr_metrics_new();
    bench->env = (struct bfr_stage_env){.clock = &bfr_clock_system,
                                        .metrics = bench->metrics,
                                        .post = take_post,
                                        .post_arg = bench,
                                        .status = &status_extension,
                                        .activity = &activity_extension,
                                        .samples = &metrics_extension};
    bench->values = bfr_values_defaults(options, sizeof options / sizeof options[0], sizeof options[0]);
    bench->stage = bfr_stage_new(&plugin, name, bench->values, &bench->env);
    assert_non_null(bench->stage);
    bench->host = bfr_stage_host(bench->stage);
}

static inline void set_up(struct bench *bench, const char *name)
{
    set_up_unhooked(bench, name);
    bfr_stage_hook(bench->stage,
                   &(struct bfr_stage_hooks){.on_complete = on_complete, .on_ready = on_ready, .arg = bench});
}

static inline void tear_down(struct bench *bench)
{
    bfr_stage_free(bench->stage);
    bfr_values_free(bench->values);
    bfr_metrics_free(bench->metrics);
}

static inline void create(struct bench *bench)
{
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_stage_create(bench->stage, &err), BFR_OK);
}

static inline void start(struct bench *bench)
{
    struct bfr_err err = {.size = sizeof err};
    create(bench);
    assert_int_equal(bfr_stage_start(bench->stage, &err), BFR_OK);
}

static inline struct bfr_completion completion_of(uint32_t outcome)
{
    return (struct bfr_completion){.size = sizeof(struct bfr_completion), .outcome = outcome, .token = 9, .text = ""};
}

static inline void complete(const struct bfr_host *host, const struct bfr_completion *completion)
{
    const struct bfr_completion *const list[] = {completion};
    host->complete(host, list, 1);
}

static inline void complete_stored(const struct bfr_host *host)
{
    const struct bfr_completion completion = completion_of(BFR_STORED);
    complete(host, &completion);
}

#endif
