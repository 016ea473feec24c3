// SPDX-License-Identifier: Apache-2.0
// The service `control`: registers with the control service, reports health, throughput, dataset metrics and errors, and
// deregisters. This file is its options and life; the work is in reporter.c, health.c and telemetry.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

#include "configuration.h"
#include "reporter.h"

#define NS_PER_MS       UINT64_C(1000000)
#define REPORT_MAX_MS   30000 // after twice that a silent service counts as dead
#define ERROR_PAUSE_NS  (UINT64_C(60) * 1000 * NS_PER_MS)
#define LONGEST_WAIT_NS (UINT64_C(60) * 1000 * NS_PER_MS)

static const struct bfr_option options[] = {
    {.name = "control_url",
     .type = BFR_OPTION_STRING,
     .help = "Where the control service is; without it nothing is sent"},
    {.name = "api_key", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_SECRET, .help = "Key for the control service"},
    {.name = "account_id",
     .type = BFR_OPTION_STRING,
     .help = "The account that this receiver belongs to; managed and system name none"},
    {.name = "ca_file", .type = BFR_OPTION_PATH, .help = "Certificates to trust (PEM) instead of the system's"},
    {.name = "timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "10s",
     .min = "1ms",
     .help = "Longest time for one call"},
    {.name = "report_interval",
     .type = BFR_OPTION_DURATION,
     .fallback = "30s",
     .min = "10ms",
     .help = "Between two health reports; more than 30s counts as 30s"},
    {.name = "reports",
     .type = BFR_OPTION_BOOL,
     .fallback = "true",
     .help = "Register, report health, deregister; else only telemetry and errors are sent"},
    {.name = "register_on_startup",
     .type = BFR_OPTION_BOOL,
     .fallback = "true",
     .help = "Register at start; else the first report has to do"},
    {.name = "telemetry_interval",
     .type = BFR_OPTION_DURATION,
     .fallback = "10s",
     .min = "10ms",
     .help = "Between two rounds of throughput, dataset metrics and errors"},
    {.name = "errors",
     .type = BFR_OPTION_BOOL,
     .fallback = "true",
     .help = "Report errors: failing sinks, dead letters"},
    {.name = "host_hostname",
     .type = BFR_OPTION_STRING,
     .fallback = "${HOST_HOSTNAME:-}",
     .help = "Name of the machine, as a container does not know it"},
    {.name = "node_name",
     .type = BFR_OPTION_STRING,
     .fallback = "${NODE_NAME:-}",
     .help = "Name of the cluster's node"},
};

static void free_reporter(struct reporter *reporter)
{
    bfr_courier_free(reporter->courier);
    bfr_watch_free(reporter->watch);
    bfr_tally_free(reporter->tally);
    if (reporter->authorization != NULL)
        explicit_bzero(reporter->authorization, strlen(reporter->authorization));
    free(reporter->authorization);
    free(reporter->url);
    free(reporter);
}

static bool set_texts(struct reporter *reporter)
{
    const struct bfr_host *host = reporter->host;
    const char *key = host->config_string(host, "api_key");
    reporter->account = host->config_string(host, "account_id");
    reporter->url = strdup(host->config_string(host, "control_url"));
    for (size_t n = reporter->url == NULL ? 0 : strlen(reporter->url); n > 0 && reporter->url[n - 1] == '/'; n--)
        reporter->url[n - 1] = '\0';
    if (key[0] != '\0' && asprintf(&reporter->authorization, "Authorization: Bearer %s", key) < 0)
        reporter->authorization = NULL;
    return reporter->url != NULL && (key[0] == '\0' || reporter->authorization != NULL);
}

static void set_duties(struct reporter *reporter, bool registers)
{
    const uint64_t reports_due_ns = reporter->sends_reports ? 0 : UINT64_MAX;
    reporter->cleanup = (struct duty){
        .what = "cleanup", .interval_ns = UINT64_MAX, .longest_ns = LONGEST_WAIT_NS, .due_ns = reports_due_ns};
    reporter->registration = (struct duty){.what = "registration",
                                           .interval_ns = UINT64_MAX,
                                           .longest_ns = LONGEST_WAIT_NS,
                                           .due_ns = registers ? reports_due_ns : UINT64_MAX};
    reporter->report = (struct duty){.what = "report",
                                     .interval_ns = reporter->report_ns,
                                     .longest_ns = reporter->report_ns,
                                     .due_ns = reports_due_ns};
    reporter->telemetry =
        (struct duty){.what = "telemetry", .interval_ns = reporter->telemetry_ns, .longest_ns = LONGEST_WAIT_NS};
    reporter->errors = (struct duty){.what = "errors",
                                     .interval_ns = reporter->telemetry_ns,
                                     .longest_ns = LONGEST_WAIT_NS,
                                     .due_ns = reporter->sends_errors ? 0 : UINT64_MAX};
}

static void set_numbers(struct reporter *reporter)
{
    const struct bfr_host *host = reporter->host;
    int64_t report_ms = host->config_integer(host, "report_interval");
    reporter->timeout_ms = (uint32_t)host->config_integer(host, "timeout");
    reporter->report_ns = (uint64_t)(report_ms < REPORT_MAX_MS ? report_ms : REPORT_MAX_MS) * NS_PER_MS;
    reporter->telemetry_ns = (uint64_t)host->config_integer(host, "telemetry_interval") * NS_PER_MS;
    reporter->sends_reports = host->config_bool(host, "reports");
    reporter->sends_errors = host->config_bool(host, "errors");
    reporter->notices.pause_ns = ERROR_PAUSE_NS;
    reporter->health = BFR_HEALTH_OK;
    set_duties(reporter, host->config_bool(host, "register_on_startup"));
}

static uint32_t check_url(const char *url, struct bfr_err *err)
{
    if (bfr_url_login(url) != NULL)
        return bfr_err_set(err, BFR_EINVAL, "control_url must not hold a login; the key belongs into api_key");
    if (url[0] == '\0' || strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
        return BFR_OK;
    return bfr_err_set(err, BFR_EINVAL,
                       "control_url must begin with http:// or https://, as in https://api.example.com");
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct reporter *reporter = calloc(1, sizeof *reporter);
    if (reporter == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    reporter->host = host;
    reporter->settings = host->get_extension(host, BFR_EXT_SETTINGS_1);
    reporter->status = host->get_extension(host, BFR_EXT_STATUS_1);
    set_numbers(reporter);
    reporter->watch = bfr_watch_new(host);
    reporter->tally = bfr_tally_new();
    uint32_t status = BFR_OK;
    if (!set_texts(reporter) || reporter->watch == NULL || reporter->tally == NULL)
        status = bfr_err_set(err, BFR_ENOMEM, "out of memory");
    if (status == BFR_OK)
        status = check_url(reporter->url, err);
    if (status == BFR_OK) {
        reporter->courier = bfr_courier_new(host, host->stage, err);
        status = reporter->courier == NULL ? BFR_ENOMEM : BFR_OK;
    }
    if (status != BFR_OK) {
        free_reporter(reporter);
        return status;
    }
    *out_self = reporter;
    return BFR_OK;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct reporter *reporter = self;
    if (reporter->url[0] == '\0') {
        bfr_log(reporter->host, BFR_LOG_WARN, "nothing is reported: no control_url is configured", NULL);
        return BFR_OK;
    }
    const struct bfr_activity_1 *activity = reporter->host->get_extension(reporter->host, BFR_EXT_ACTIVITY_1);
    char ignored[1];
    if (activity != NULL && activity->start_failure(reporter->host, ignored, sizeof ignored))
        return BFR_OK; // whoever could not start has nothing to register
    return bfr_courier_start(reporter->courier, bfr_reporter_run, reporter, err);
}

static void drain(void *self, uint64_t deadline_ns)
{
    struct reporter *reporter = self;
    bfr_courier_leave(reporter->courier, deadline_ns);
}

static void stop(void *self)
{
    struct reporter *reporter = self;
    bfr_courier_stop(reporter->courier);
}

static void destroy(void *self)
{
    free_reporter(self);
}

static void health(void *self, struct bfr_health *out)
{
    const struct reporter *reporter = self;
    out->state = reporter->url[0] != '\0' ? reporter->health : BFR_HEALTH_DEGRADED;
    if (out->state != BFR_HEALTH_OK)
        snprintf(out->reason, sizeof out->reason, "%s",
                 reporter->url[0] != '\0' ? "the control service does not take the reports"
                                          : "no control_url is configured: nothing is reported");
}

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .drain = drain,
    .stop = stop,
    .destroy = destroy,
    .health = health,
};

static const struct bfr_service_vtable service = {.size = sizeof service};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SERVICE,
    .name = "control",
    .version = "1.0",
    .summary = "Registration, health, throughput and errors for the control service",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .option_size = sizeof options[0],
    .life = &life,
    .vtable = &service,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
