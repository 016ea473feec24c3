// SPDX-License-Identifier: Apache-2.0
// `check --live`: does what the stages talk to answer, and may they use it? Starts auth and sinks, and nothing else: no port
// is opened, and no queue or spool is touched. Runs on the main thread.
#include <stdio.h>

#include "app.h"
#include "app_assembly.h"
#include "app_mainloop.h"
#include "cli.h"
#include "clock.h"
#include "log.h"

#define PATIENCE_NS (60 * BFR_NS_PER_S) // for all stages together
#define GLANCE_NS   (20 * BFR_NS_PER_MS)

struct live {
    struct bfr_mainloop *mainloop;
    struct bfr_metrics *metrics;
    struct bfr_diag *diag;
    struct bfr_stage_env env;
    struct bfr_assembly assembly;
    struct bfr_stage *stages[BFR_STAGES_MAX]; // those that are looked at
    bool started[BFR_STAGES_MAX];
    size_t count;
    size_t bad;
};

// Nothing is put or asked, so nothing can come back but the news that a stage is ready.
static void on_ready(void *arg)
{
    (void)arg;
}

static void on_verdict(void *arg, uint64_t ticket, const struct bfr_verdict *verdict)
{
    (void)arg;
    (void)ticket;
    (void)verdict;
}

static uint32_t build(struct live *live, const struct bfr_cli *cli)
{
    live->metrics = bfr_metrics_new();
    live->diag = bfr_diag_new();
    if (live->metrics == NULL || live->diag == NULL)
        return BFR_ENOMEM;
    live->env = (struct bfr_stage_env){
        .clock = &bfr_clock_system, .metrics = live->metrics, .post = bfr_mainloop_post, .post_arg = live->mainloop};
    uint32_t status = bfr_assembly_build(&live->assembly, cli->config_path, &cli->flags, &live->env, live->diag);
    if (status == BFR_OK && bfr_config_refuse_masks(live->assembly.config, live->diag) > 0)
        status = BFR_EINVAL;
    bfr_diag_print(live->diag, stderr);
    return status;
}

static void print_verdict(struct live *live, const struct bfr_stage *stage, const char *trouble)
{
    printf("%s (%s): %s\n", bfr_stage_name(stage), bfr_stage_plugin(stage)->name,
           trouble[0] == '\0' ? "good" : trouble);
    live->bad += trouble[0] != '\0';
}

static void add_stage(struct live *live, struct bfr_stage *stage)
{
    const struct bfr_stage_hooks hooks = {.on_ready = on_ready, .on_verdict = on_verdict};
    struct bfr_err err = {.size = sizeof err};
    bfr_stage_hook(stage, &hooks);
    live->stages[live->count] = stage;
    live->started[live->count] = bfr_stage_start(stage, &err) == BFR_OK;
    if (!live->started[live->count])
        print_verdict(live, stage, err.text);
    live->count++;
}

static bool all_probed(const struct live *live)
{
    for (size_t i = 0; i < live->count; i++) {
        if (live->started[i] && !bfr_stage_probed(live->stages[i]))
            return false;
    }
    return true;
}

// Until every stage has met its far end, the patience is over, or somebody presses Ctrl-C.
static void wait_probed(struct live *live)
{
    uint64_t end_ns = bfr_clock_now(&bfr_clock_system) + PATIENCE_NS;
    for (uint64_t now_ns = 0; !all_probed(live) && now_ns < end_ns;) {
        now_ns = bfr_clock_now(&bfr_clock_system);
        if (bfr_mainloop_wait(live->mainloop, now_ns + GLANCE_NS))
            return;
    }
}

static void judge(struct live *live, struct bfr_stage *stage)
{
    struct bfr_health health = {.size = sizeof health};
    bfr_stage_health(stage, &health);
    if (health.state != BFR_HEALTH_OK)
        print_verdict(live, stage, health.reason);
    else
        print_verdict(live, stage, bfr_stage_probed(stage) ? "" : "no answer yet; look at the network in between");
}

static int look(struct live *live)
{
    if (live->assembly.auth != NULL)
        add_stage(live, live->assembly.auth);
    for (size_t i = 0; i < live->assembly.sink_count; i++)
        add_stage(live, live->assembly.sinks[i]);
    wait_probed(live);
    for (size_t i = 0; i < live->count; i++) {
        if (live->started[i])
            judge(live, live->stages[i]);
    }
    for (size_t i = 0; i < live->count; i++) {
        if (live->started[i])
            bfr_stage_stop(live->stages[i]);
    }
    return live->bad == 0 ? BFR_EXIT_OK : BFR_EXIT_FAILURE;
}

int bfr_cli_check_live(const struct bfr_cli *cli)
{
    struct live live = {.count = 0};
    struct bfr_err err = {.size = sizeof err};
    int code = BFR_EXIT_FAILURE;
    if (bfr_mainloop_new(&live.mainloop, &err) != BFR_OK) {
        fprintf(stderr, "bytefreezer-receiver: %s\n", err.text);
        return BFR_EXIT_FAILURE;
    }
    uint32_t status = build(&live, cli);
    if (status == BFR_OK) {
        // What a stage meets is in its verdict; the log adds what a person must know beside it.
        const struct bfr_settings *settings = bfr_config_settings(live.assembly.config);
        bfr_log_configure(cli->flags.log_level == NULL ? (uint32_t)BFR_LOG_WARN : settings->logging.level,
                          BFR_LOG_LOGFMT);
        code = look(&live);
    } else if (status != BFR_ENOMEM) {
        code = BFR_EXIT_CONFIG;
    }
    bfr_mainloop_close(live.mainloop);
    bfr_assembly_clear(&live.assembly);
    bfr_diag_free(live.diag);
    bfr_metrics_free(live.metrics);
    bfr_mainloop_free(live.mainloop);
    return code;
}
