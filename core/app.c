// SPDX-License-Identifier: Apache-2.0
// The order of the daemon's life, on the main thread: configuration, stages, pipeline, ports; then waiting; then the same
// backwards. Everything hangs off struct app; nothing here touches a batch.
#include "app.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "app_assembly.h"
#include "app_figures.h"
#include "app_mainloop.h"
#include "app_notify.h"
#include "app_payload.h"
#include "app_pulse.h"
#include "app_reload.h"
#include "bug.h"
#include "http_activation.h"
#include "http_admin.h"
#include "http_budget.h"
#include "http_server.h"
#include "log.h"
#include "pipe_link.h"
#include "pipe_pipeline.h"

// Supervisors kill after 30 s; everything must be over before.
#define STOP_LIMIT_NS (25 * BFR_NS_PER_S)
// What a long shutdown_delay leaves of it at least: who sets one has told the supervisor.
#define STOP_WORK_NS (10 * BFR_NS_PER_S)
// What is kept of it for the stages' own stop and for the last lines of the log.
#define STOP_RESERVE_NS (2 * BFR_NS_PER_S)

struct app {
    struct bfr_status_1 status;      // what plugins get as "status/1"; first, so that its address leads back here
    struct bfr_settings_1 extension; // "settings/1"
    struct bfr_activity_1 activity;  // "activity/1"
    struct bfr_metrics_1 samples;    // "metrics/1"
    struct bfr_traffic *traffic;
    struct bfr_tap *tap;       // what is accepted, for those who follow it
    struct bfr_flows *flows;   // NULL without services: nobody would read them
    const char *start_failure; // why the daemon could not start; NULL: it could
    struct bfr_mainloop *mainloop;
    struct bfr_metrics *metrics;
    struct bfr_stage_env env;
    struct bfr_budget *budget; // memory.budget, of the server and of what stages read back
    struct bfr_assembly assembly;
    struct bfr_in_force *in_force; // owns the configuration
    const struct bfr_config_flags *flags;
    struct bfr_notify *notify; // NULL: nobody listens
    struct bfr_pulse *pulse;
    struct bfr_reloader *reloader;
    struct bfr_pipeline *pipeline;
    struct bfr_auth *auth;
    struct bfr_http_server *http;
    struct bfr_http_admin *admin;
    bool pipeline_runs;
    size_t services_run;
    bool auth_runs;
    bool ports_open;
};

static bool visit_stage(struct bfr_stage *stage, bool (*visit)(void *arg, const struct bfr_stage_status *status),
                        void *arg)
{
    struct bfr_health health = {.size = sizeof health};
    bfr_stage_health(stage, &health);
    const struct bfr_stage_status status = {.size = sizeof status,
                                            .kind = bfr_stage_kind(stage),
                                            .stage = bfr_stage_name(stage),
                                            .plugin = bfr_stage_plugin(stage)->name,
                                            .state = health.state,
                                            .reason = health.reason};
    return visit(arg, &status);
}

// Every stage in the order of the data's way, then the services. [any]
static void visit_stages(void *arg, bool (*visit)(void *visit_arg, const struct bfr_stage_status *stage),
                         void *visit_arg)
{
    struct app *app = arg;
    bool more = app->assembly.auth == NULL || visit_stage(app->assembly.auth, visit, visit_arg);
    if (more && app->pipeline_runs)
        more = bfr_pipeline_stages(app->pipeline, visit, visit_arg);
    for (size_t i = 0; more && i < app->assembly.service_count; i++)
        more = visit_stage(app->assembly.services[i], visit, visit_arg);
}

static struct app *app_of(const struct bfr_host *host)
{
    return (struct app *)(uintptr_t)host->get_extension(host, BFR_EXT_STATUS_1);
}

static void status_ledger(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_ledger_row *row),
                          void *arg)
{
    const struct app *app = app_of(host);
    if (app->pipeline_runs)
        bfr_pipeline_ledger(app->pipeline, visit, arg);
}

static void status_stages(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_stage_status *stage),
                          void *arg)
{
    visit_stages(app_of(host), visit, arg);
}

static uint16_t configured_api_port(const struct app *app)
{
    uint16_t port = bfr_config_settings(bfr_in_force_enter(app->in_force))->server.api_port;
    bfr_in_force_leave(app->in_force);
    return port;
}

// What is configured, but for what has turned out otherwise: the limit of a body, ports that were left to the system, the
// version that runs.
static uint32_t settings_text(const struct bfr_host *host, const char *key, char *out, size_t room)
{
    const struct app *app = app_of(host);
    const char *text = NULL;
    struct bfr_number number;
    if (strcmp(key, "app.version") == 0) {
        text = BFR_VERSION;
    } else if (app->ports_open && strcmp(key, "webhook.max_payload_size") == 0) {
        number = bfr_num((int64_t)bfr_in_force_payload(app->in_force));
        text = number.text;
    } else if (app->ports_open && strcmp(key, "webhook.port") == 0) {
        number = bfr_num(bfr_http_server_port(app->http));
        text = number.text;
    } else if (strcmp(key, "server.api_port") == 0) {
        number = bfr_num(app->ports_open ? bfr_http_admin_port(app->admin) : configured_api_port(app));
        text = number.text;
    }
    uint32_t status = BFR_OK;
    if (text != NULL) {
        snprintf(out, room, "%s", text);
    } else {
        status = bfr_config_older_text(bfr_in_force_enter(app->in_force), key, out, room);
        bfr_in_force_leave(app->in_force);
    }
    return status;
}

static uint64_t activity_flows(const struct bfr_host *host, uint64_t since,
                               bool (*visit)(void *arg, const struct bfr_flow *flow), void *arg)
{
    return bfr_flows_visit(app_of(host)->flows, since, visit, arg);
}

static bool activity_start_failure(const struct bfr_host *host, char *out, uint64_t room)
{
    const struct app *app = app_of(host);
    if (app->start_failure != NULL)
        snprintf(out, room, "%s", app->start_failure);
    return app->start_failure != NULL;
}

static bool metrics_samples(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_sample *sample),
                            void *arg)
{
    return bfr_metrics_visit(app_of(host)->metrics, visit, arg);
}

// As many descriptors as the administrator allows; no core file in release builds, because it would hold bodies and
// tokens.
static void set_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
#ifndef BFR_DEBUG
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#endif
    umask(027);
}

static uint32_t put_in_force(struct app *app)
{
    struct bfr_config *config = app->assembly.config;
    const struct bfr_settings *settings = bfr_config_settings(config);
    bfr_log_configure(settings->logging.level, settings->logging.format);
    app->in_force = bfr_in_force_new(config, bfr_clock_wall(&bfr_clock_system));
    if (app->in_force == NULL)
        return BFR_ENOMEM;
    app->assembly.config = NULL;
    bfr_app_figures_init(app->metrics, app->in_force);
    app->reloader = bfr_reloader_new(&(struct bfr_reloader_setup){.flags = app->flags,
                                                                  .assembly = &app->assembly,
                                                                  .in_force = app->in_force,
                                                                  .mainloop = app->mainloop,
                                                                  .notify = app->notify});
    return app->reloader == NULL ? BFR_ENOMEM : BFR_OK;
}

// Those in force. The main thread alone replaces them, so here they are as they were until the next reload. [main]
static const struct bfr_settings *settings_of(const struct app *app)
{
    const struct bfr_settings *settings = bfr_config_settings(bfr_in_force_enter(app->in_force));
    bfr_in_force_leave(app->in_force);
    return settings;
}

// Bodies that stages have in RAM by themselves, above all what the disk queue reads back for a sink, are in memory.budget:
// they are not asked to wait, since whoever sends them makes room; senders are.
static void hold_body(void *arg, uint64_t bytes)
{
    const struct app *app = arg;
    bfr_budget_hold(app->budget, bytes);
}

static void let_go_body(void *arg, uint64_t bytes)
{
    const struct app *app = arg;
    bfr_budget_let_go(app->budget, bytes);
}

static uint32_t make_budget(struct app *app, uint64_t limit)
{
    app->budget = bfr_budget_new(limit, 0, NULL, NULL);
    if (app->budget == NULL)
        return BFR_ENOMEM;
    bfr_budget_reserve(app->budget, bfr_link_in_flight_max(limit));
    return BFR_OK;
}

static uint32_t build(struct app *app, const char *config_path, const struct bfr_config_flags *flags)
{
    app->status = (struct bfr_status_1){sizeof app->status, status_ledger, status_stages};
    app->extension = (struct bfr_settings_1){sizeof app->extension, settings_text};
    app->activity = (struct bfr_activity_1){sizeof app->activity, activity_flows, activity_start_failure};
    app->samples = (struct bfr_metrics_1){sizeof app->samples, metrics_samples};
    app->metrics = bfr_metrics_new();
    if (app->metrics == NULL)
        return BFR_ENOMEM;
    app->env = (struct bfr_stage_env){.clock = &bfr_clock_system,
                                      .metrics = app->metrics,
                                      .post = bfr_mainloop_post,
                                      .post_arg = app->mainloop,
                                      .status = &app->status,
                                      .settings = &app->extension,
                                      .activity = &app->activity,
                                      .samples = &app->samples,
                                      .hold = hold_body,
                                      .let_go = let_go_body,
                                      .memory_arg = app};
#ifdef BFR_DEBUG
    app->env.abort_on_misuse = true;
#endif
    struct bfr_diag *diag = bfr_diag_new();
    if (diag == NULL)
        return BFR_ENOMEM;
    uint32_t status = bfr_assembly_build(&app->assembly, config_path, flags, &app->env, diag);
    app->flags = flags;
    if (status == BFR_OK && bfr_config_refuse_masks(app->assembly.config, diag) > 0)
        status = BFR_EINVAL;
    if (status == BFR_OK) {
        status = put_in_force(app);
        if (status == BFR_OK)
            status = make_budget(app, settings_of(app)->memory.budget);
        bfr_diag_log(diag);
    } else {
        bfr_diag_print(diag, stderr);
    }
    bfr_diag_free(diag);
    return status;
}

static uint32_t start_pipeline(struct app *app, struct bfr_err *err)
{
    if ((app->tap = bfr_tap_new()) == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    if (app->assembly.service_count > 0 && (app->flows = bfr_flows_new()) == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    const struct bfr_settings *settings = settings_of(app);
    app->traffic = bfr_traffic_new(app->metrics, settings->metrics.tenant_labels, settings->metrics.dataset_labels);
    if (app->traffic == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    const struct bfr_pipeline_setup setup = {.settings = settings,
                                             .clock = &bfr_clock_system,
                                             .metrics = app->metrics,
                                             .flows = app->flows,
                                             .traffic = app->traffic,
                                             .tap = app->tap,
                                             .queues = app->assembly.queues,
                                             .queue_count = app->assembly.queue_count,
                                             .sinks = app->assembly.sinks,
                                             .sink_count = app->assembly.sink_count,
                                             .pumps = true};
    uint32_t status = bfr_pipeline_new(&setup, &app->pipeline, err);
    if (status == BFR_OK)
        status = bfr_pipeline_start(app->pipeline, err);
    app->pipeline_runs = status == BFR_OK;
    return status;
}

static uint32_t start_auth(struct app *app, struct bfr_err *err)
{
    app->auth = bfr_auth_new(app->assembly.auth);
    if (app->auth == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    if (app->assembly.auth == NULL)
        return BFR_OK;
    uint32_t status = bfr_stage_start(app->assembly.auth, err);
    app->auth_runs = status == BFR_OK;
    return status;
}

static uint32_t open_ports(struct app *app, struct bfr_err *err)
{
    const struct bfr_settings *settings = settings_of(app);
    uint64_t payload_bytes = bfr_payload_limit(settings, &app->assembly);
    bfr_in_force_set_payload(app->in_force, payload_bytes);
    const struct bfr_admin_setup admin = {.settings = settings,
                                          .metrics = app->metrics,
                                          .pipeline = app->pipeline,
                                          .stages = visit_stages,
                                          .stages_arg = app,
                                          .version = BFR_VERSION,
                                          .auth = app->auth,
                                          .in_force = app->in_force,
                                          .reload = bfr_reloader_wait,
                                          .reload_arg = app->reloader,
                                          .tap = app->tap};
    const struct bfr_http_setup http = {.settings = settings,
                                        .max_payload_bytes = payload_bytes,
                                        .clock = &bfr_clock_system,
                                        .metrics = app->metrics,
                                        .pipeline = app->pipeline,
                                        .auth = app->auth,
                                        .traffic = app->traffic,
                                        .budget = app->budget,
                                        .tap = app->tap};
    uint32_t status = bfr_http_admin_new(&admin, &app->admin, err);
    if (status == BFR_OK)
        status = bfr_http_server_new(&http, &app->http, err);
    if (status == BFR_OK)
        status = bfr_http_admin_start(app->admin, err);
    if (status == BFR_OK)
        status = bfr_http_server_start(app->http, err);
    app->ports_open = status == BFR_OK;
    return status;
}

static uint32_t start_services(struct app *app, struct bfr_err *err)
{
    for (size_t i = 0; i < app->assembly.service_count; i++) {
        uint32_t status = bfr_stage_start(app->assembly.services[i], err);
        if (status != BFR_OK)
            return status;
        app->services_run = i + 1;
    }
    return BFR_OK;
}

static void announce_port(const char *name, const char *message, const char *const *addresses, size_t count,
                          uint16_t port)
{
    static const char *const handed_over[] = {"inherited"};
    if (bfr_activation_count(name) > 0) {
        addresses = handed_over;
        count = 1;
    }
    for (size_t i = 0; i < count; i++)
        bfr_say(BFR_LOG_INFO, name, message, "address", addresses[i], "port", bfr_num(port).text, NULL);
}

static void announce_ports(const struct app *app)
{
    const struct bfr_settings *settings = settings_of(app);
    announce_port("webhook", "webhook listening", settings->webhook.bind, settings->webhook.bind_count,
                  bfr_http_server_port(app->http));
    announce_port("api", "api listening", settings->server.bind, settings->server.bind_count,
                  bfr_http_admin_port(app->admin));
    if (bfr_http_admin_metrics_port(app->admin) > 0)
        bfr_say(BFR_LOG_INFO, "api", "metrics listening", "port", bfr_num(bfr_http_admin_metrics_port(app->admin)).text,
                NULL);
    bfr_say(BFR_LOG_INFO, "main", "started", "version", BFR_VERSION, NULL);
}

static uint32_t start_pulse(struct app *app, struct bfr_err *err)
{
    const struct bfr_pulse_setup setup = {.notify = app->notify,
                                          .in_force = app->in_force,
                                          .pipeline = app->pipeline,
                                          .http = app->http,
                                          .admin = app->admin,
                                          .stages = visit_stages,
                                          .stages_arg = app};
    bfr_notify_ready(app->notify); // a watchdog is due from then on
    return bfr_pulse_start(&setup, &app->pulse, err);
}

static uint32_t start(struct app *app, struct bfr_err *err)
{
    uint32_t status = start_pipeline(app, err);
    if (status == BFR_OK)
        status = start_auth(app, err);
    if (status == BFR_OK)
        status = open_ports(app, err);
    if (status == BFR_OK)
        status = start_services(app, err);
    if (status == BFR_OK)
        status = start_pulse(app, err);
    if (status == BFR_OK)
        announce_ports(app);
    return status;
}

static void stop_stage(struct bfr_stage *stage, uint64_t deadline_ns)
{
    bfr_stage_drain(stage, deadline_ns);
    bfr_stage_stop(stage);
}

// The last quarter of the time belongs to the pipeline: a slow client may finish its body at the last moment, and what it
// is told is accepted must still reach a sink.
static uint64_t network_time(uint64_t deadline_ns)
{
    uint64_t now = bfr_clock_now(&bfr_clock_system);
    return now < deadline_ns ? deadline_ns - (deadline_ns - now) / 4 : deadline_ns;
}

// They say farewell while the rest of the daemon stops, and may take as long, but no longer.
static void drain_services(struct app *app, uint64_t deadline_ns)
{
    for (size_t i = app->services_run; i > 0; i--)
        bfr_stage_drain(app->assembly.services[i - 1], deadline_ns);
}

static void stop_services(struct app *app)
{
    while (app->services_run > 0)
        bfr_stage_stop(app->assembly.services[--app->services_run]);
}

// Stop what runs, from the network inwards; returns how many accepted batches were lost.
static uint64_t stop(struct app *app, uint64_t deadline_ns)
{
    uint64_t lost = 0;
    bfr_reloader_close(app->reloader);
    bfr_pulse_stopping(app->pulse);
    drain_services(app, deadline_ns);
    if (app->http != NULL) {
        bfr_http_server_close(app->http);
        uint32_t cut_off = bfr_http_server_stop(app->http, network_time(deadline_ns));
        if (cut_off > 0)
            bfr_say(BFR_LOG_WARN, "webhook", "requests cut off without an answer; their senders will send again",
                    "requests", bfr_num(cut_off).text, NULL);
    }
    if (app->auth_runs)
        stop_stage(app->assembly.auth, deadline_ns);
    if (app->pipeline_runs)
        lost = bfr_pipeline_stop(app->pipeline, deadline_ns);
    stop_services(app);
    if (app->admin != NULL)
        bfr_http_admin_stop(app->admin);
    return lost;
}

static void tear_down(struct app *app)
{
    bfr_pulse_free(app->pulse);
    bfr_http_server_free(app->http);
    bfr_http_admin_free(app->admin);
    bfr_auth_free(app->auth);
    bfr_pipeline_free(app->pipeline);
    bfr_mainloop_close(app->mainloop);
    bfr_reloader_free(app->reloader);
    bfr_assembly_clear(&app->assembly);
    bfr_budget_release(app->budget);
    bfr_traffic_free(app->traffic);
    bfr_in_force_free(app->in_force);
    bfr_flows_free(app->flows);
    bfr_tap_free(app->tap);
    bfr_metrics_free(app->metrics);
}

static uint64_t stop_limit(uint64_t delay_ns)
{
    return delay_ns + STOP_WORK_NS > STOP_LIMIT_NS ? delay_ns + STOP_WORK_NS : STOP_LIMIT_NS;
}

// Stay useful while balancers notice that readiness has gone, then stop. Returns the number of lost batches.
static uint64_t leave(struct app *app)
{
    uint64_t asked_at = bfr_mainloop_stopped_at(app->mainloop);
    uint64_t delay_ms = settings_of(app)->shutdown_delay_ms;
    uint64_t limit_ns = stop_limit(delay_ms * BFR_NS_PER_MS);
    bfr_mainloop_limit_stop(app->mainloop, limit_ns);
    bfr_http_admin_unready(app->admin, "draining"); // before anything that may wait
    bfr_http_server_shed(app->http);
    bfr_reloader_close(app->reloader);
    bfr_notify_stopping(app->notify);
    bfr_pulse_stopping(app->pulse);
    bfr_say(BFR_LOG_INFO, "main", "stopping", "delay_ms", bfr_num((int64_t)delay_ms).text, NULL);
    bfr_mainloop_pause(app->mainloop, asked_at + delay_ms * BFR_NS_PER_MS);
    return stop(app, asked_at + limit_ns - STOP_RESERVE_NS);
}

// The services come last, so none runs yet that could tell anybody of the failure: they are started for that alone.
static void tell_services(struct app *app, const struct bfr_err *err)
{
    struct bfr_err ignored = {.size = sizeof ignored};
    if (app->services_run > 0)
        return;
    app->start_failure = err->text;
    (void)start_services(app, &ignored);
}

static int serve(struct app *app)
{
    struct bfr_err err = {.size = sizeof err};
    if (start(app, &err) != BFR_OK) {
        bfr_say(BFR_LOG_ERROR, "main", "cannot start", "error", err.text, NULL);
        bfr_mainloop_stop(app->mainloop); // whatever hangs now, the supervisor gets its exit code
        tell_services(app, &err);
        (void)stop(app, bfr_clock_now(&bfr_clock_system) + STOP_RESERVE_NS);
        app->start_failure = NULL; // the services have stopped, and `err` ends here
        return BFR_EXIT_FAILURE;
    }
    bfr_reloader_open(app->reloader, &(struct bfr_reload_parts){app->traffic, app->pipeline, app->http, app->admin});
    bfr_mainloop_on_hangup(app->mainloop, bfr_reloader_ask, app->reloader);
    (void)bfr_mainloop_wait(app->mainloop, UINT64_MAX);
    uint64_t lost = leave(app);
    if (lost > 0) {
        bfr_say(BFR_LOG_ERROR, "main", "stopped, accepted batches were lost", "batches", bfr_num((int64_t)lost).text,
                NULL);
        return BFR_EXIT_FAILURE;
    }
    bfr_say(BFR_LOG_INFO, "main", "stopped", NULL);
    return BFR_EXIT_OK;
}

int bfr_app_run(const char *config_path, const struct bfr_config_flags *flags)
{
    struct app app = {.metrics = NULL};
    struct bfr_err err = {.size = sizeof err};
    set_limits();
    app.notify = bfr_notify_new();
    if (bfr_mainloop_new(&app.mainloop, &err) != BFR_OK) {
        bfr_say(BFR_LOG_ERROR, "main", "cannot start", "error", err.text, NULL);
        bfr_notify_free(app.notify);
        return BFR_EXIT_FAILURE;
    }
    bfr_mainloop_limit_stop(app.mainloop, STOP_LIMIT_NS);
    if (bfr_activation_take(&err) != BFR_OK) {
        bfr_say(BFR_LOG_ERROR, "main", "cannot start", "error", err.text, NULL);
        bfr_mainloop_free(app.mainloop);
        bfr_notify_free(app.notify);
        return BFR_EXIT_FAILURE;
    }
    int code = BFR_EXIT_CONFIG;
    uint32_t built = build(&app, config_path, flags);
    if (built == BFR_OK) {
        code = serve(&app);
    } else if (built == BFR_ENOMEM) {
        bfr_say(BFR_LOG_ERROR, "main", "cannot start", "error", "out of memory", NULL);
        code = BFR_EXIT_FAILURE;
    }
    tear_down(&app);
    bfr_activation_release();
    bfr_mainloop_free(app.mainloop);
    bfr_notify_free(app.notify);
    return code;
}
