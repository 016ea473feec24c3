// SPDX-License-Identifier: Apache-2.0
// The service `soc`: alerts for a security operations centre. Its thread looks at what went wrong, gathers what is alike, and
// sends each kind at most once in a while.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

#include "courier.h"
#include "duty.h"
#include "endpoint.h"
#include "identity.h"
#include "notices.h"
#include "watch.h"

#define NS_PER_MS       UINT64_C(1000000)
#define LONGEST_WAIT_NS (UINT64_C(60) * 1000 * NS_PER_MS)
#define REFRESHES       3 // this many failed refreshes are one alert

static const struct bfr_option options[] = {
    {.name = "endpoint", .type = BFR_OPTION_STRING, .help = "Where alerts are posted, a URL"},
    {.name = "ca_file", .type = BFR_OPTION_PATH, .help = "Certificates to trust (PEM) instead of the system's"},
    {.name = "timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "30s",
     .min = "1ms",
     .help = "Longest time for one alert"},
    {.name = "check_interval",
     .type = BFR_OPTION_DURATION,
     .fallback = "5s",
     .min = "10ms",
     .help = "Between two looks at what went wrong"},
    {.name = "repeat_interval",
     .type = BFR_OPTION_DURATION,
     .fallback = "5m",
     .min = "10ms",
     .help = "Shortest time between two alerts of one kind; what happens meanwhile is counted"},
    {.name = "environment",
     .type = BFR_OPTION_STRING,
     .fallback = "production",
     .choices = "production|development",
     .help = "What the alerts say about where they come from"},
    {.name = "host_hostname",
     .type = BFR_OPTION_STRING,
     .fallback = "${HOST_HOSTNAME:-}",
     .help = "Name of the machine, as a container does not know it"},
    {.name = "node_name",
     .type = BFR_OPTION_STRING,
     .fallback = "${NODE_NAME:-}",
     .help = "Name of the cluster's node"},
};

struct alarm {
    const struct bfr_host *host;
    struct courier *courier;
    char *url; // "" when there is none
    uint32_t timeout_ms;
    struct duty duty;
    struct watch *watch;
    struct notices notices;
    bool not_started;   // the daemon could not start: that its stages do not run is no news
    uint64_t refreshes; // failed ones that are no alert yet
    char instance[IDENTITY_SIZE];
    _Atomic uint32_t health;
};

// Severity, title and message of each kind; by enum watch_kind.
static const struct words {
    const char *severity, *title, *message;
} kinds[] = {
    [WATCH_BURIED] = {"high", "Batches given up", "batches were given up and are kept as dead letters"},
    [WATCH_FAILED] = {"high", "Upload failure", "batches could not be delivered and are tried again"},
    [WATCH_STAGE] = {"high", "Stage degraded", "a stage does not work as it should"},
    [WATCH_OVERSIZE] = {"medium", "Oversized payload", "requests were refused because their body is too large"},
    [WATCH_TOKEN] = {"high", "Authentication failure", "requests were refused because their token is missing or wrong"},
    [WATCH_REFRESH] = {"medium", "Directory refresh failure", "the tenants could not be read from the control service"},
};
static const struct words started = {"low", "Receiver started", "the receiver takes batches"};
static const struct words not_started = {"critical", "Receiver did not start", "the receiver could not start and ends"};

static void note(struct alarm *alarm, const struct words *words, uint64_t count, const char *subject, const char *cause)
{
    struct notice notice = {
        .type = words->title, .message = words->message, .severity = words->severity, .count = count};
    snprintf(notice.subject, sizeof notice.subject, "%.64s", subject);
    snprintf(notice.sample, sizeof notice.sample, "%.190s", cause);
    (void)bfr_notices_add(&alarm->notices, &notice);
}

static void note_finding(void *arg, const struct watch_finding *finding)
{
    struct alarm *alarm = arg;
    uint64_t count = finding->count;
    if (finding->kind == WATCH_REFRESH) {
        alarm->refreshes += count;
        count = alarm->refreshes - alarm->refreshes % REFRESHES;
        alarm->refreshes -= count;
    }
    if (count > 0)
        note(alarm, &kinds[finding->kind], count, finding->stage, finding->cause);
}

static json_t *alert_body(const struct alarm *alarm, const struct notice *notice)
{
    time_t now = (time_t)(alarm->host->wall_ns(alarm->host) / 1000000000);
    struct tm utc;
    char timestamp[32] = "";
    if (gmtime_r(&now, &utc) != NULL)
        strftime(timestamp, sizeof timestamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *details = json_pack("{s:I}", "count", (json_int_t)notice->count);
    if (notice->subject[0] != '\0')
        (void)json_object_set_new(details, "stage", json_string(notice->subject));
    if (notice->sample[0] != '\0')
        (void)json_object_set_new(details, "cause", json_string(notice->sample));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "service", "bytefreezer-receiver", "severity",
                     notice->severity, "title", notice->type, "message", notice->message, "timestamp", timestamp,
                     "environment", alarm->host->config_string(alarm->host, "environment"), "host", alarm->instance,
                     "details", details);
}

// False: it was not taken.
static bool send_alert(struct alarm *alarm, struct notice *notice)
{
    struct courier_result result = {.text = "out of memory"};
    uint64_t count = notice->count;
    json_t *body = alert_body(alarm, notice);
    if (body != NULL)
        bfr_courier_call(
            alarm->courier,
            &(struct courier_call){.method = "POST", .url = alarm->url, .body = body, .timeout_ms = alarm->timeout_ms},
            &result);
    json_decref(body);
    json_decref(result.reply);
    alarm->health = result.taken ? BFR_HEALTH_OK : BFR_HEALTH_DEGRADED;
    if (result.taken)
        bfr_notices_sent(notice, count, bfr_courier_now(alarm->courier));
    else
        bfr_duty_failed(&alarm->duty, alarm->host, alarm->courier, result.text);
    return result.taken;
}

static void look_and_send(struct alarm *alarm)
{
    struct notice *notice;
    bool any = false;
    if (!alarm->not_started)
        bfr_watch_look(alarm->watch, note_finding, alarm);
    while ((notice = bfr_notices_next(&alarm->notices, bfr_courier_now(alarm->courier))) != NULL) {
        if (!send_alert(alarm, notice))
            return;
        any = true;
    }
    if (any || alarm->duty.failures == 0)
        bfr_duty_done(&alarm->duty, alarm->host, alarm->courier);
    else
        alarm->duty.due_ns = bfr_courier_now(alarm->courier) + alarm->duty.interval_ns;
}

static void run(void *arg)
{
    struct alarm *alarm = arg;
    const struct bfr_host *host = alarm->host;
    const struct bfr_activity_1 *activity = host->get_extension(host, BFR_EXT_ACTIVITY_1);
    char cause[192] = "";
    bfr_identity_here(host->config_string(host, "host_hostname"), host->config_string(host, "node_name"),
                      alarm->instance);
    alarm->not_started = activity != NULL && activity->start_failure(host, cause, sizeof cause);
    note(alarm, alarm->not_started ? &not_started : &started, 1, "", cause);
    // After a failed start the stop follows at once, and a call that it would leave behind is not begun before.
    if (alarm->not_started)
        alarm->duty.due_ns = UINT64_MAX;
    while (bfr_courier_wait(alarm->courier, alarm->duty.due_ns))
        look_and_send(alarm);
    if (alarm->duty.failures == 0)
        look_and_send(alarm);
}

static void free_alarm(struct alarm *alarm)
{
    bfr_courier_free(alarm->courier);
    bfr_watch_free(alarm->watch);
    free(alarm->url);
    free(alarm);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct alarm *alarm = calloc(1, sizeof *alarm);
    if (alarm == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    alarm->host = host;
    alarm->timeout_ms = (uint32_t)host->config_integer(host, "timeout");
    alarm->health = BFR_HEALTH_OK;
    alarm->notices.pause_ns = (uint64_t)host->config_integer(host, "repeat_interval") * NS_PER_MS;
    alarm->duty = (struct duty){.what = "alerts",
                                .interval_ns = (uint64_t)host->config_integer(host, "check_interval") * NS_PER_MS,
                                .longest_ns = LONGEST_WAIT_NS};
    uint32_t status = bfr_endpoint_url(host->config_string(host, "endpoint"), "/", &alarm->url, err);
    alarm->watch = bfr_watch_new(host);
    if (status == BFR_OK && alarm->watch == NULL)
        status = bfr_err_set(err, BFR_ENOMEM, "out of memory");
    if (status == BFR_OK) {
        alarm->courier = bfr_courier_new(host, host->stage, err);
        status = alarm->courier == NULL ? BFR_ENOMEM : BFR_OK;
    }
    if (status != BFR_OK) {
        free_alarm(alarm);
        return status;
    }
    *out_self = alarm;
    return BFR_OK;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct alarm *alarm = self;
    if (alarm->url[0] != '\0')
        return bfr_courier_start(alarm->courier, run, alarm, err);
    bfr_log(alarm->host, BFR_LOG_WARN, "no alerts are sent: no endpoint is configured", NULL);
    return BFR_OK;
}

static void drain(void *self, uint64_t deadline_ns)
{
    struct alarm *alarm = self;
    bfr_courier_leave(alarm->courier, deadline_ns);
}

static void stop(void *self)
{
    struct alarm *alarm = self;
    bfr_courier_stop(alarm->courier);
}

static void destroy(void *self)
{
    free_alarm(self);
}

static void health(void *self, struct bfr_health *out)
{
    const struct alarm *alarm = self;
    out->state = alarm->url[0] != '\0' ? alarm->health : BFR_HEALTH_DEGRADED;
    if (out->state != BFR_HEALTH_OK)
        snprintf(out->reason, sizeof out->reason, "%s",
                 alarm->url[0] != '\0' ? "the far end does not take the alerts" : "no endpoint is configured");
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
    .name = "soc",
    .version = "1.0",
    .summary = "Alerts for a security operations centre, gathered and rate-limited",
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
