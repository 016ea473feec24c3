// SPDX-License-Identifier: Apache-2.0
// The control service is told that we are here, how we are, and that we leave. On the courier's thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "configuration.h"
#include "reporter.h"

#define SERVICE            "bytefreezer-receiver"
#define CLEANUP_TIMEOUT_MS 10000
#define NS_PER_S           UINT64_C(1000000000)

static json_t *configuration(const struct reporter *reporter)
{
    const struct configuration_facts facts = {.instance = reporter->instance,
                                              .account = reporter->account,
                                              .report_seconds = (int64_t)(reporter->report_ns / NS_PER_S),
                                              .timeout_seconds = (int64_t)reporter->timeout_ms / 1000};
    return bfr_configuration_report(reporter->host, reporter->settings, &facts);
}

static void settle(struct reporter *reporter, struct duty *duty, struct courier_result *result)
{
    if (result->taken)
        bfr_duty_done(duty, reporter->host, reporter->courier);
    else
        bfr_duty_failed(duty, reporter->host, reporter->courier, result->text);
    json_decref(result->reply);
    result->reply = NULL;
}

static void call_cleanup(struct reporter *reporter, struct courier_result *out)
{
    json_t *body = json_pack("{s:s, s:s}", "service_type", "receiver", "instance_id", reporter->instance);
    bfr_reporter_call(reporter, "POST", "/api/v1/activity/operations/cleanup", body, CLEANUP_TIMEOUT_MS, out);
}

void bfr_reporter_cleanup(struct reporter *reporter)
{
    struct courier_result result;
    call_cleanup(reporter, &result);
    settle(reporter, &reporter->cleanup, &result);
}

void bfr_reporter_register(struct reporter *reporter)
{
    struct courier_result result;
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:o}", "service_type", SERVICE, "instance_id", reporter->instance,
                  "instance_api", reporter->instance, "status", "Starting", "configuration", configuration(reporter));
    bfr_reporter_call(reporter, "POST", "/api/v1/health/register", body, reporter->timeout_ms, &result);
    settle(reporter, &reporter->registration, &result);
}

// The control service may ask us to remove or replace ourselves. It does not sign that, so it is not done.
static void refuse_order(struct reporter *reporter, const json_t *reply)
{
    const char *action = json_string_value(json_object_get(reply, "action"));
    if (action == NULL || action[0] == '\0' || reporter->order_refused)
        return;
    reporter->order_refused = true;
    bfr_log(reporter->host, BFR_LOG_WARN,
            "control service asks for something that is never done on its word; install and remove by hand", "action",
            action, NULL);
}

void bfr_reporter_report(struct reporter *reporter)
{
    static const char *const states[] = {
        [BFR_HEALTH_OK] = "healthy", [BFR_HEALTH_DEGRADED] = "degraded", [BFR_HEALTH_FAILED] = "unhealthy"};
    char directory[4096] = "";
    struct courier_result result;
    uint32_t health = bfr_watch_health(reporter->host, reporter->status);

    if (reporter->settings != NULL)
        (void)reporter->settings->text(reporter->host, "spooling.directory", directory, sizeof directory);
    json_t *metrics = bfr_machine_metrics(&reporter->machine, directory, reporter->host->wall_ns(reporter->host));
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o}", "service_name", SERVICE, "service_id", reporter->instance,
                  "instance_api", reporter->instance, "healthy", health != BFR_HEALTH_FAILED, "status", states[health],
                  "configuration", configuration(reporter), "metrics", metrics);
    bfr_reporter_call(reporter, "POST", "/api/v1/services/report", body, reporter->timeout_ms, &result);
    if (result.reply != NULL)
        refuse_order(reporter, result.reply);
    reporter->health = result.taken ? BFR_HEALTH_OK : BFR_HEALTH_DEGRADED;
    settle(reporter, &reporter->report, &result);
}

// Best effort, and only where somebody may have noticed that we were here.
void bfr_reporter_farewell(struct reporter *reporter)
{
    struct courier_result result;
    char *path = NULL;
    const char *account = reporter->account[0] != '\0' ? reporter->account : "system";
    if (asprintf(&path, "/api/v1/accounts/%s/services/%s", account, reporter->instance) < 0)
        return;
    bfr_reporter_call(reporter, "DELETE", path, NULL, reporter->timeout_ms, &result);
    free(path);
    json_decref(result.reply);
    if (!result.taken) {
        bfr_log(reporter->host, BFR_LOG_WARN, "not deregistered; the control service will notice the silence", "cause",
                result.text, NULL);
        return;
    }
    call_cleanup(reporter, &result);
    json_decref(result.reply);
    bfr_log(reporter->host, BFR_LOG_INFO, "deregistered", "instance", reporter->instance, NULL);
}
