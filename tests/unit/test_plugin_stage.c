// SPDX-License-Identifier: Apache-2.0
// Promises of a stage: the life cycle in order, slots read by size, and each misuse of the host caught and named as
// that plugin's bug. The plugin is linked in and does what each test sets it to.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <bfr/text.h>

#include "batch.h"
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

static void note(const char *call)
{
    strcat(script.calls, call);
    strcat(script.calls, " ");
}

static uint32_t plugin_create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
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

static uint32_t plugin_start(void *self, struct bfr_err *err)
{
    assert_ptr_equal(self, &script);
    note("start");
    if (script.in_start != NULL)
        script.in_start(script.host);
    return script.start_status == BFR_OK ? BFR_OK : bfr_err_set(err, script.start_status, "%s", script.error);
}

static void plugin_drain(void *self, uint64_t deadline_ns)
{
    (void)self;
    note(deadline_ns == 42 ? "drain" : "drain?");
}

static void plugin_stop(void *self)
{
    (void)self;
    note("stop");
    if (script.in_stop != NULL)
        script.in_stop(script.host);
}

static void plugin_destroy(void *self)
{
    assert_ptr_equal(self, &script);
    note("destroy");
}

static uint32_t plugin_reload(void *self, struct bfr_err *err)
{
    (void)self;
    note("reload");
    return script.error == NULL ? BFR_OK : bfr_err_set(err, BFR_EINVAL, "%s", script.error);
}

static void plugin_health(void *self, struct bfr_health *out)
{
    (void)self;
    out->state = script.health_state;
    memset(out->reason, 'x', sizeof out->reason); // forgets the end
}

static bool plugin_probed(void *self)
{
    (void)self;
    return script.probed;
}

static size_t plugin_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
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

static void on_complete(void *arg, const struct bfr_completion *const *completions, size_t count)
{
    struct bench *bench = arg;
    bench->completions += count;
    bench->last = *completions[count - 1];
}

static void on_ready(void *arg)
{
    ((struct bench *)arg)->readies++;
}

static bool take_post(void *arg, void (*fn)(void *), void *fn_arg)
{
    struct bench *bench = arg;
    if (bench->posted != NULL)
        return false;
    bench->posted = fn;
    bench->posted_arg = fn_arg;
    return true;
}

static void run_posted(struct bench *bench)
{
    void (*fn)(void *arg) = bench->posted;
    bench->posted = NULL;
    fn(bench->posted_arg);
}

static const struct bfr_status_1 status_extension = {.size = sizeof status_extension};
static const struct bfr_activity_1 activity_extension = {.size = sizeof activity_extension};
static const struct bfr_metrics_1 metrics_extension = {.size = sizeof metrics_extension};

static void set_up_unhooked(struct bench *bench, const char *name)
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

static void set_up(struct bench *bench, const char *name)
{
    set_up_unhooked(bench, name);
    bfr_stage_hook(bench->stage,
                   &(struct bfr_stage_hooks){.on_complete = on_complete, .on_ready = on_ready, .arg = bench});
}

static void tear_down(struct bench *bench)
{
    bfr_stage_free(bench->stage);
    bfr_values_free(bench->values);
    bfr_metrics_free(bench->metrics);
}

static void create(struct bench *bench)
{
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_stage_create(bench->stage, &err), BFR_OK);
}

static void start(struct bench *bench)
{
    struct bfr_err err = {.size = sizeof err};
    create(bench);
    assert_int_equal(bfr_stage_start(bench->stage, &err), BFR_OK);
}

static struct bfr_completion completion_of(uint32_t outcome)
{
    return (struct bfr_completion){.size = sizeof(struct bfr_completion), .outcome = outcome, .token = 9, .text = ""};
}

static void complete(const struct bfr_host *host, const struct bfr_completion *completion)
{
    const struct bfr_completion *const list[] = {completion};
    host->complete(host, list, 1);
}

static void complete_stored(const struct bfr_host *host)
{
    const struct bfr_completion completion = completion_of(BFR_STORED);
    complete(host, &completion);
}

static void test_life_runs_in_order(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "life");
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_NEW);
    start(&bench);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_STARTED);
    bfr_stage_drain(bench.stage, 42);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_DRAINING);
    bfr_stage_stop(bench.stage);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_STOPPED);
    bfr_stage_destroy(bench.stage);
    assert_int_equal(bfr_stage_state(bench.stage), BFR_STAGE_DESTROYED);
    tear_down(&bench);
    assert_string_equal(script.calls, "create start drain stop destroy ");
}

static void test_free_ends_whatever_life_is_left(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "free-new");
    tear_down(&bench);
    assert_string_equal(script.calls, "");
    set_up(&bench, "free-created");
    create(&bench);
    tear_down(&bench);
    assert_string_equal(script.calls, "create destroy ");
    set_up(&bench, "free-started");
    start(&bench);
    tear_down(&bench);
    assert_string_equal(script.calls, "create start stop destroy ");
}

static void test_failed_start_is_followed_by_destroy_alone(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    set_up(&bench, "main");
    create(&bench);
    script.start_status = BFR_EFAIL;
    script.error = "cannot lock '/x'; stop the other daemon";
    assert_int_equal(bfr_stage_start(bench.stage, &err), BFR_EFAIL);
    assert_string_equal(err.text,
                        "stage 'main' (plugin 'scripted'): start failed: cannot lock '/x'; stop the other daemon");
    tear_down(&bench);
    assert_string_equal(script.calls, "create start destroy ");
}

static void test_failure_without_a_reason_is_the_plugins_bug(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    set_up(&bench, "mute");
    script.create_status = BFR_ENOMEM;
    assert_int_equal(bfr_stage_create(bench.stage, &err), BFR_ENOMEM);
    assert_string_equal(err.text,
                        "stage 'mute' (plugin 'scripted'): create failed: the plugin gave no reason (status 2), "
                        "which is a bug of plugin 'scripted' 3.1");
    tear_down(&bench);
    assert_string_equal(script.calls, "create ");
}

static void test_reload_reports_why_not(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    set_up(&bench, "reload");
    start(&bench);
    assert_int_equal(bfr_stage_reload(bench.stage, &err), BFR_OK);
    script.error = "no such file";
    assert_int_equal(bfr_stage_reload(bench.stage, &err), BFR_EINVAL);
    assert_string_equal(err.text, "stage 'reload' (plugin 'scripted'): reload failed: no such file");
    tear_down(&bench);
}

// A plugin of another minor may have a shorter life table: what lies beyond its size is not called.
static void test_slots_beyond_a_tables_size_are_not_called(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_err err = {.size = sizeof err};
    struct bfr_health health;
    set_up(&bench, "short");
    struct bfr_life short_life = life;
    short_life.size = offsetof(struct bfr_life, reload);
    struct bfr_plugin short_plugin = plugin;
    short_plugin.life = &short_life;
    bfr_stage_free(bench.stage);
    bench.stage = bfr_stage_new(&short_plugin, "short", bench.values, &bench.env);
    start(&bench);
    assert_int_equal(bfr_stage_reload(bench.stage, &err), BFR_OK);
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_OK);
    assert_string_equal(health.reason, "");
    tear_down(&bench);
    assert_string_equal(script.calls, "create start stop destroy ");
}

static void test_health_is_asked_only_while_the_stage_runs(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_health health;
    set_up(&bench, "health");
    create(&bench);
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_FAILED);
    assert_string_equal(health.reason, "not running");
    struct bfr_err err = {.size = sizeof err};
    assert_int_equal(bfr_stage_start(bench.stage, &err), BFR_OK);
    script.health_state = BFR_HEALTH_DEGRADED;
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_DEGRADED);
    assert_int_equal(strlen(health.reason), sizeof health.reason - 1); // got its end
    bfr_stage_stop(bench.stage);
    bfr_stage_health(bench.stage, &health);
    assert_int_equal(health.state, BFR_HEALTH_FAILED);
    tear_down(&bench);
}

static void test_a_stage_says_when_it_has_met_its_far_end(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "far");
    start(&bench);
    script.probed = false;
    assert_false(bfr_stage_probed(bench.stage));
    script.probed = true;
    assert_true(bfr_stage_probed(bench.stage));
    tear_down(&bench);
}

static void test_health_without_a_state_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    struct bfr_health health;
    set_up(&bench, "ill");
    start(&bench);
    script.health_state = 0;
    capture_begin(&bench.log);
    bfr_stage_health(bench.stage, &health);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "ill", "health without a valid state", "scripted");
    assert_int_equal(health.state, BFR_HEALTH_DEGRADED);
    tear_down(&bench);
}

static void test_completions_from_start_to_the_end_of_stop_are_passed_on(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "window");
    script.in_start = complete_stored;
    script.in_stop = complete_stored;
    capture_begin(&bench.log);
    start(&bench);
    assert_int_equal(bench.completions, 1);
    bfr_stage_drain(bench.stage, 42);
    complete_stored(bench.host);
    assert_int_equal(bench.completions, 2);
    bfr_stage_stop(bench.stage);
    capture_end(&bench.log);
    assert_int_equal(bench.completions, 3);
    assert_silent(&bench.log, "window");
    tear_down(&bench);
}

static void test_completion_before_start_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "early");
    script.in_create = complete_stored;
    capture_begin(&bench.log);
    create(&bench);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "early", "completion before start", "scripted");
    assert_int_equal(bench.completions, 0);
    tear_down(&bench);
}

static void test_completion_after_stop_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "late");
    start(&bench);
    bfr_stage_stop(bench.stage);
    capture_begin(&bench.log);
    complete_stored(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "late", "completion after stop", "scripted");
    assert_int_equal(bench.completions, 0);
    tear_down(&bench);
}

static void test_misuse_ends_a_debug_build(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "abort");
    bench.env.abort_on_misuse = true;
    start(&bench);
    bfr_stage_stop(bench.stage);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL); // cmocka and sanitizers have handlers of their own
        close(STDERR_FILENO);
        complete_stored(bench.host);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(WTERMSIG(result), SIGABRT);
    tear_down(&bench);
}

// A delivery whose end nobody can understand is tried again: never lost, never held for ever.
static void test_unknown_outcome_is_misuse_and_counts_as_retry(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "garbled");
    start(&bench);
    const struct bfr_completion good = completion_of(BFR_STORED);
    struct bfr_completion bad = completion_of(5);
    bad.token = 10;
    const struct bfr_completion *const list[] = {&good, &bad};
    capture_begin(&bench.log);
    bench.host->complete(bench.host, list, 2);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "garbled", "completion with an unknown outcome", "scripted");
    assert_int_equal(bench.completions, 2);
    assert_int_equal(bench.last.token, 10);
    assert_int_equal(bench.last.outcome, BFR_RETRY);
    assert_int_equal(bench.last.flags, 0);
    tear_down(&bench);
}

static void test_good_completions_after_a_bad_one_still_count(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "middle");
    start(&bench);
    const struct bfr_completion good = completion_of(BFR_REJECT);
    const struct bfr_completion *const list[] = {&good, NULL, &good};
    capture_begin(&bench.log);
    bench.host->complete(bench.host, list, 3);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "middle", "completion is NULL", "scripted");
    assert_int_equal(bench.completions, 2);
    assert_int_equal(bench.last.outcome, BFR_REJECT);
    tear_down(&bench);
}

static void test_short_completion_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "cut");
    start(&bench);
    struct bfr_completion bad = completion_of(BFR_STORED);
    bad.size = offsetof(struct bfr_completion, text); // the token is there: the delivery gets its end
    capture_begin(&bench.log);
    complete(bench.host, &bad);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "cut", "completion with a size shorter than ABI 1.0 has", "scripted");
    assert_int_equal(bench.completions, 1);
    assert_int_equal(bench.last.outcome, BFR_RETRY);
    assert_int_equal(bench.last.token, 9);
    bad.size = 4; // not even a token
    capture_begin(&bench.log);
    complete(bench.host, &bad);
    capture_end(&bench.log);
    assert_int_equal(bench.completions, 1);
    tear_down(&bench);
}

static void test_put_that_takes_too_much_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "greedy");
    start(&bench);
    const struct bfr_delivery delivery = {.size = sizeof delivery};
    const struct bfr_delivery *const list[] = {&delivery, &delivery};
    script.put_result = 1;
    assert_int_equal(bfr_stage_put(bench.stage, list, 2), 1);
    script.put_result = 3;
    capture_begin(&bench.log);
    assert_int_equal(bfr_stage_put(bench.stage, list, 2), 2);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "greedy", "put returned more than it was offered", "scripted");
    tear_down(&bench);
}

static void test_reports_that_nobody_uses_are_misuse(void **state)
{
    (void)state;
    const struct bfr_verdict verdict = {.size = sizeof verdict, .decision = BFR_ALLOW};
    struct bench bench;
    set_up_unhooked(&bench, "unused");
    start(&bench);
    capture_begin(&bench.log);
    bench.host->ready(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unused", "ready from a stage that gets no batches", "scripted");
    capture_begin(&bench.log);
    bench.host->verdict(bench.host, 1, &verdict);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unused", "verdict from a stage that nobody asks", "scripted");
    capture_begin(&bench.log);
    complete_stored(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unused", "completion from a stage that gets no batches", "scripted");
    tear_down(&bench);
}

static void test_ready_reaches_the_user_only_while_running(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "ready");
    start(&bench);
    bench.host->ready(bench.host);
    assert_int_equal(bench.readies, 1);
    bfr_stage_stop(bench.stage);
    capture_begin(&bench.log);
    bench.host->ready(bench.host);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "ready", "ready outside of start to stop", "scripted");
    assert_int_equal(bench.readies, 1);
    tear_down(&bench);
}

static void test_getters_give_typed_values(void **state)
{
    (void)state;
    struct bench bench;
    size_t count = 7;
    set_up(&bench, "typed");
    const struct bfr_host *host = bench.host;
    capture_begin(&bench.log);
    assert_string_equal(host->config_string(host, "text"), "words");
    assert_string_equal(host->config_string(host, "path"), "");
    assert_false(host->config_has(host, "path"));
    assert_true(host->config_bool(host, "flag"));
    assert_int_equal(host->config_integer(host, "count"), 12);
    assert_int_equal(host->config_integer(host, "size"), 2048);
    assert_int_equal(host->config_integer(host, "pause"), 3000);
    assert_true(host->config_number(host, "share") == 0.5);
    (void)host->config_list(host, "list", &count);
    assert_int_equal(count, 0);
    capture_end(&bench.log);
    assert_silent(&bench.log, "typed");
    tear_down(&bench);
}

static void test_getter_of_an_unknown_name_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "unknown");
    capture_begin(&bench.log);
    assert_string_equal(bench.host->config_string(bench.host, "txet"), "");
    capture_end(&bench.log);
    assert_misuse(&bench.log, "unknown", "asks for an option that is not in its table", "scripted");
    tear_down(&bench);
}

static void test_getter_of_another_type_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    size_t count = 7;
    set_up(&bench, "types");
    const struct bfr_host *host = bench.host;
    capture_begin(&bench.log);
    assert_string_equal(host->config_string(host, "count"), "");
    capture_end(&bench.log);
    assert_misuse(&bench.log, "types", "asks for an option with the getter of another type", "scripted");
    capture_begin(&bench.log); // folded into the first line from here on
    assert_false(host->config_bool(host, "text"));
    assert_int_equal(host->config_integer(host, "share"), 0);
    assert_true(host->config_number(host, "count") == 0);
    assert_null(host->config_list(host, "text", &count)[0]);
    capture_end(&bench.log);
    assert_int_equal(count, 0);
    tear_down(&bench);
}

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

static void test_post_runs_once_on_the_main_thread(void **state)
{
    (void)state;
    struct bench bench;
    int calls = 0;
    set_up(&bench, "post");
    start(&bench);
    assert_true(bench.host->post(bench.host, count_call, &calls));
    assert_false(bench.host->post(bench.host, count_call, &calls)); // this main loop takes one
    assert_int_equal(calls, 0);
    run_posted(&bench);
    assert_int_equal(calls, 1);
    tear_down(&bench);
    assert_int_equal(calls, 1);
}

// The main loop may come to it only after the plugin is gone.
static void test_post_never_runs_after_destroy(void **state)
{
    (void)state;
    struct bench bench;
    int calls = 0;
    set_up(&bench, "post-late");
    start(&bench);
    assert_true(bench.host->post(bench.host, count_call, &calls));
    bfr_stage_stop(bench.stage);
    assert_int_equal(calls, 1);
    tear_down(&bench);
    run_posted(&bench);
    assert_int_equal(calls, 1);
}

static void test_post_outside_of_work_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    int calls = 0;
    set_up(&bench, "post-early");
    create(&bench);
    capture_begin(&bench.log);
    assert_false(bench.host->post(bench.host, count_call, &calls));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "post-early", "post outside of start to stop", "scripted");
    assert_null(bench.posted);
    tear_down(&bench);
}

static struct bfr_metric *puts_metric, *bad_metric;

static void register_metrics(const struct bfr_host *host)
{
    puts_metric = host->metric_register(host, BFR_METRIC_COUNTER, "scripted_puts_total", "Puts", NULL);
}

static void register_bad_metric(const struct bfr_host *host)
{
    bad_metric = host->metric_register(host, BFR_METRIC_COUNTER, "Bad-Name", "h", NULL);
}

static void test_metrics_carry_the_products_prefix(void **state)
{
    (void)state;
    struct bench bench;
    size_t size = 0;
    set_up(&bench, "metrics");
    script.in_create = register_metrics;
    create(&bench);
    assert_non_null(puts_metric);
    bench.host->metric_add(bench.host, puts_metric, NULL, 2);
    bench.host->metric_add(bench.host, NULL, NULL, 2); // one that clashed: no figure, no harm
    char *page = bfr_metrics_render(bench.metrics, &size);
    assert_non_null(strstr(page, "\nbytefreezer_receiver_scripted_puts_total 2\n"));
    free(page);
    tear_down(&bench);
}

static void test_metric_after_create_or_with_a_bad_name_is_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "metric-bad");
    script.in_create = register_bad_metric;
    capture_begin(&bench.log);
    create(&bench);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "metric-bad", "metric with a bad type, name or help", "scripted");
    assert_null(bad_metric);
    capture_begin(&bench.log);
    assert_null(bench.host->metric_register(bench.host, BFR_METRIC_GAUGE, "late", "h", NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "metric-bad", "metric registered after create", "scripted");
    tear_down(&bench);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void hold_bytes(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg += bytes;
}

static void let_go_bytes(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg -= bytes;
}

static void test_a_body_that_a_stage_made_is_counted_until_its_last_holder_lets_go(void **state)
{
    (void)state;
    struct bench bench;
    bool freed = false;
    uint64_t held = 0;
    const struct bfr_span span = {(const uint8_t *)"body", 4};
    struct bfr_batch source = {.size = sizeof source,
                               .account = "",
                               .tenant = "t",
                               .dataset = "d",
                               .filename = "f",
                               .batch_id = "b",
                               .data_hint = "h",
                               .content_type = "",
                               .body_bytes = 4,
                               .span_count = 1,
                               .spans = &span};
    set_up(&bench, "bodies");
    bench.env.hold = hold_bytes;
    bench.env.let_go = let_go_bytes;
    bench.env.memory_arg = &held;
    const struct bfr_batch *batch = bench.host->batch_make(bench.host, &source, set_true, &freed);
    assert_non_null(batch);
    assert_int_equal(held, 4);
    bench.host->batch_retain(bench.host, batch);
    bench.host->batch_release(bench.host, batch);
    assert_int_equal(held, 4);
    bench.host->batch_release(bench.host, batch);
    assert_true(freed);
    assert_int_equal(held, 0);
    source.span_count = 0; // an envelope alone
    batch = bench.host->batch_make(bench.host, &source, NULL, NULL);
    assert_int_equal(held, 0);
    bench.host->batch_release(bench.host, batch);
    tear_down(&bench);
}

static void test_batches_are_made_and_counted(void **state)
{
    (void)state;
    struct bench bench;
    bool freed = false;
    struct bfr_batch source = {.size = sizeof source,
                               .account = "",
                               .tenant = "t",
                               .dataset = "d",
                               .filename = "f",
                               .batch_id = "b",
                               .data_hint = "h",
                               .content_type = ""};
    set_up(&bench, "batches");
    const struct bfr_batch *batch = bench.host->batch_make(bench.host, &source, set_true, &freed);
    assert_non_null(batch);
    assert_string_equal(batch->tenant, "t");
    bench.host->batch_retain(bench.host, batch);
    bench.host->batch_release(bench.host, batch);
    assert_false(freed);
    bench.host->batch_release(bench.host, batch);
    assert_true(freed);

    source.filename = NULL;
    capture_begin(&bench.log);
    assert_null(bench.host->batch_make(bench.host, &source, NULL, NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "batches", "batch_make with a string that is NULL", "scripted");
    source.size = 8;
    capture_begin(&bench.log);
    assert_null(bench.host->batch_make(bench.host, &source, NULL, NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "batches", "batch_make with a size shorter than ABI 1.0 has", "scripted");
    tear_down(&bench);
}

static void test_null_arguments_are_misuse(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "null-retain");
    start(&bench);
    capture_begin(&bench.log);
    bench.host->batch_retain(bench.host, NULL);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "batch_retain of NULL", "scripted");
    capture_begin(&bench.log);
    bench.host->log(bench.host, BFR_LOG_INFO, NULL, NULL);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "log without a message", "scripted");
    capture_begin(&bench.log);
    bench.host->complete(bench.host, NULL, 1);
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "completions is NULL", "scripted");
    capture_begin(&bench.log);
    assert_false(bench.host->post(bench.host, NULL, NULL));
    capture_end(&bench.log);
    assert_misuse(&bench.log, "null-retain", "post of NULL", "scripted");
    tear_down(&bench);
}

static void test_log_lines_carry_the_stage(void **state)
{
    (void)state;
    static const char *const fields[] = {"batch", "a b", NULL};
    struct bench bench;
    set_up(&bench, "speaker");
    capture_begin(&bench.log);
    bench.host->log(bench.host, BFR_LOG_WARN, "upload failed", fields);
    capture_end(&bench.log);
    assert_log_has(&bench.log, "level=warn inst=speaker msg=\"upload failed\" batch=\"a b\"");
    tear_down(&bench);
}

static void test_extensions_are_found_by_name(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "extension");
    assert_ptr_equal(bench.host->get_extension(bench.host, BFR_EXT_STATUS_1), &status_extension);
    assert_ptr_equal(bench.host->get_extension(bench.host, BFR_EXT_ACTIVITY_1), &activity_extension);
    assert_ptr_equal(bench.host->get_extension(bench.host, BFR_EXT_METRICS_1), &metrics_extension);
    assert_null(bench.host->get_extension(bench.host, "status/2"));
    tear_down(&bench);
}

static void test_tables_are_given_by_kind(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "kinds");
    assert_ptr_equal(bfr_stage_sink(bench.stage), &sink);
    assert_null(bfr_stage_queue(bench.stage));
    assert_null(bfr_stage_auth(bench.stage));
    assert_int_equal(bfr_stage_kind(bench.stage), BFR_KIND_SINK);
    assert_string_equal(bfr_stage_name(bench.stage), "kinds");
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_runs_in_order),
        cmocka_unit_test(test_free_ends_whatever_life_is_left),
        cmocka_unit_test(test_failed_start_is_followed_by_destroy_alone),
        cmocka_unit_test(test_failure_without_a_reason_is_the_plugins_bug),
        cmocka_unit_test(test_reload_reports_why_not),
        cmocka_unit_test(test_slots_beyond_a_tables_size_are_not_called),
        cmocka_unit_test(test_health_is_asked_only_while_the_stage_runs),
        cmocka_unit_test(test_a_stage_says_when_it_has_met_its_far_end),
        cmocka_unit_test(test_health_without_a_state_is_misuse),
        cmocka_unit_test(test_completions_from_start_to_the_end_of_stop_are_passed_on),
        cmocka_unit_test(test_completion_before_start_is_misuse),
        cmocka_unit_test(test_completion_after_stop_is_misuse),
        cmocka_unit_test(test_misuse_ends_a_debug_build),
        cmocka_unit_test(test_unknown_outcome_is_misuse_and_counts_as_retry),
        cmocka_unit_test(test_good_completions_after_a_bad_one_still_count),
        cmocka_unit_test(test_short_completion_is_misuse),
        cmocka_unit_test(test_put_that_takes_too_much_is_misuse),
        cmocka_unit_test(test_reports_that_nobody_uses_are_misuse),
        cmocka_unit_test(test_ready_reaches_the_user_only_while_running),
        cmocka_unit_test(test_getters_give_typed_values),
        cmocka_unit_test(test_getter_of_an_unknown_name_is_misuse),
        cmocka_unit_test(test_getter_of_another_type_is_misuse),
        cmocka_unit_test(test_post_runs_once_on_the_main_thread),
        cmocka_unit_test(test_post_never_runs_after_destroy),
        cmocka_unit_test(test_post_outside_of_work_is_misuse),
        cmocka_unit_test(test_metrics_carry_the_products_prefix),
        cmocka_unit_test(test_metric_after_create_or_with_a_bad_name_is_misuse),
        cmocka_unit_test(test_batches_are_made_and_counted),
        cmocka_unit_test(test_a_body_that_a_stage_made_is_counted_until_its_last_holder_lets_go),
        cmocka_unit_test(test_null_arguments_are_misuse),
        cmocka_unit_test(test_log_lines_carry_the_stage),
        cmocka_unit_test(test_extensions_are_found_by_name),
        cmocka_unit_test(test_tables_are_given_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
