// SPDX-License-Identifier: Apache-2.0
// The service `otlp`: pushes all metrics to an OpenTelemetry collector, OTLP over HTTP in JSON. Its thread pushes, waits, and
// pushes a last time when the daemon stops.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/ext/settings.h>
#include <bfr/plugin.h>
#include <bfr/text.h>

#include "courier.h"
#include "duty.h"
#include "endpoint.h"
#include "identity.h"
#include "otlp_payload.h"

#define NS_PER_MS UINT64_C(1000000)

static const struct bfr_option options[] = {
    {.name = "endpoint",
     .type = BFR_OPTION_STRING,
     .help = "The collector, host:port or a URL; without a path /v1/metrics is asked"},
    {.name = "push_interval",
     .type = BFR_OPTION_DURATION,
     .fallback = "15s",
     .min = "10ms",
     .help = "Between two pushes"},
    {.name = "ca_file", .type = BFR_OPTION_PATH, .help = "Certificates to trust (PEM) instead of the system's"},
    {.name = "timeout",
     .type = BFR_OPTION_DURATION,
     .fallback = "10s",
     .min = "1ms",
     .help = "Longest time for one push"},
    {.name = "service_name",
     .type = BFR_OPTION_STRING,
     .fallback = "bytefreezer-receiver",
     .help = "What the collector shall call this service"},
    {.name = "host_hostname",
     .type = BFR_OPTION_STRING,
     .fallback = "${HOST_HOSTNAME:-}",
     .help = "Name of the machine, as a container does not know it"},
    {.name = "node_name",
     .type = BFR_OPTION_STRING,
     .fallback = "${NODE_NAME:-}",
     .help = "Name of the cluster's node"},
};

struct pusher {
    const struct bfr_host *host;
    const struct bfr_settings_1 *settings;
    const struct bfr_metrics_1 *metrics;
    struct courier *courier;
    char *url; // "" when there is none
    uint32_t timeout_ms;
    struct duty duty;
    char instance[IDENTITY_SIZE];
    char version[64];
    struct otlp_resource resource;
    _Atomic uint32_t health;
};

// The collector may take a push and still say that it left some of it out.
static bool left_out(const json_t *reply, struct courier_result *result)
{
    const json_t *rejected = json_object_get(json_object_get(reply, "partialSuccess"), "rejectedDataPoints");
    if (!(json_is_integer(rejected) && json_integer_value(rejected) > 0) &&
        !(json_is_string(rejected) && strcmp(json_string_value(rejected), "0") != 0))
        return false;
    snprintf(result->text, sizeof result->text, "the collector left out some data points");
    return true;
}

static void push(struct pusher *pusher)
{
    struct courier_result result = {.text = "out of memory"};
    json_t *body = bfr_otlp_payload(pusher->host, pusher->metrics, &pusher->resource);
    if (body != NULL)
        bfr_courier_call(pusher->courier,
                         &(struct courier_call){
                             .method = "POST", .url = pusher->url, .body = body, .timeout_ms = pusher->timeout_ms},
                         &result);
    json_decref(body);
    bool whole = result.taken && !left_out(result.reply, &result);
    json_decref(result.reply);
    pusher->health = whole ? BFR_HEALTH_OK : BFR_HEALTH_DEGRADED;
    if (whole)
        bfr_duty_done(&pusher->duty, pusher->host, pusher->courier);
    else
        bfr_duty_failed(&pusher->duty, pusher->host, pusher->courier, result.text);
}

static void run(void *arg)
{
    struct pusher *pusher = arg;
    while (bfr_courier_wait(pusher->courier, pusher->duty.due_ns))
        push(pusher);
    if (pusher->duty.failures == 0)
        push(pusher); // what has happened since the last one
}

static void free_pusher(struct pusher *pusher)
{
    bfr_courier_free(pusher->courier);
    free(pusher->url);
    free(pusher);
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct pusher *pusher = calloc(1, sizeof *pusher);
    if (pusher == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    pusher->host = host;
    pusher->settings = host->get_extension(host, BFR_EXT_SETTINGS_1);
    pusher->metrics = host->get_extension(host, BFR_EXT_METRICS_1);
    pusher->timeout_ms = (uint32_t)host->config_integer(host, "timeout");
    pusher->health = BFR_HEALTH_OK;
    uint64_t interval_ns = (uint64_t)host->config_integer(host, "push_interval") * NS_PER_MS;
    pusher->duty = (struct duty){.what = "metrics", .interval_ns = interval_ns, .longest_ns = interval_ns};
    uint32_t status = bfr_endpoint_url(host->config_string(host, "endpoint"), "/v1/metrics", &pusher->url, err);
    if (status == BFR_OK) {
        pusher->courier = bfr_courier_new(host, host->stage, err);
        status = pusher->courier == NULL ? BFR_ENOMEM : BFR_OK;
    }
    if (status != BFR_OK) {
        free_pusher(pusher);
        return status;
    }
    *out_self = pusher;
    return BFR_OK;
}

static void describe(struct pusher *pusher)
{
    const struct bfr_host *host = pusher->host;
    char mode[32] = "";
    bfr_identity_here(host->config_string(host, "host_hostname"), host->config_string(host, "node_name"),
                      pusher->instance);
    if (pusher->settings != NULL) {
        (void)pusher->settings->text(host, "app.version", pusher->version, sizeof pusher->version);
        (void)pusher->settings->text(host, "otel.mode", mode, sizeof mode);
    }
    if (strcmp(mode, "otlp_grpc") == 0)
        bfr_log(host, BFR_LOG_WARN,
                "metrics are pushed over HTTP, gRPC is not spoken here; check the port (4318) and write otlp_http",
                "url", pusher->url, NULL);
    pusher->resource = (struct otlp_resource){.service_name = host->config_string(host, "service_name"),
                                              .version = pusher->version,
                                              .instance = pusher->instance,
                                              .started_ns = host->wall_ns(host)};
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct pusher *pusher = self;
    if (pusher->url[0] == '\0') {
        bfr_log(pusher->host, BFR_LOG_WARN, "no metrics are pushed: no endpoint is configured", NULL);
        return BFR_OK;
    }
    describe(pusher);
    return bfr_courier_start(pusher->courier, run, pusher, err);
}

static void drain(void *self, uint64_t deadline_ns)
{
    struct pusher *pusher = self;
    bfr_courier_leave(pusher->courier, deadline_ns);
}

static void stop(void *self)
{
    struct pusher *pusher = self;
    bfr_courier_stop(pusher->courier);
}

static void destroy(void *self)
{
    free_pusher(self);
}

static void health(void *self, struct bfr_health *out)
{
    const struct pusher *pusher = self;
    out->state = pusher->url[0] != '\0' ? pusher->health : BFR_HEALTH_DEGRADED;
    if (out->state != BFR_HEALTH_OK)
        snprintf(out->reason, sizeof out->reason, "%s",
                 pusher->url[0] != '\0' ? "the collector does not take the metrics" : "no endpoint is configured");
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
    .name = "otlp",
    .version = "1.0",
    .summary = "Pushes all metrics to an OpenTelemetry collector, OTLP over HTTP",
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
