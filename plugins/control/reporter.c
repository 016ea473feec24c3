// SPDX-License-Identifier: Apache-2.0
// See reporter.h: the thread of `control`, which does what is due, and then goes.
#include "reporter.h"

#include <stdio.h>
#include <stdlib.h>

#include <bfr/text.h>

void bfr_reporter_call(struct reporter *reporter, const char *method, const char *path, json_t *body,
                       uint32_t timeout_ms, struct courier_result *out)
{
    char *url = NULL;
    bool bodiless = method[0] == 'D';
    *out = (struct courier_result){.text = "out of memory"};
    if (path != NULL && (body != NULL || bodiless) && asprintf(&url, "%s%s", reporter->url, path) >= 0)
        bfr_courier_call(reporter->courier,
                         &(struct courier_call){.method = method,
                                                .url = url,
                                                .authorization = reporter->authorization,
                                                .body = body,
                                                .timeout_ms = timeout_ms},
                         out);
    free(url);
    json_decref(body);
}

// The port is known once the daemon listens, which it does before its services start.
static void name_instance(struct reporter *reporter)
{
    char name[IDENTITY_SIZE], port[16] = "8081";
    bfr_identity_here(reporter->host->config_string(reporter->host, "host_hostname"),
                      reporter->host->config_string(reporter->host, "node_name"), name);
    if (reporter->settings != NULL)
        (void)reporter->settings->text(reporter->host, "server.api_port", port, sizeof port);
    snprintf(reporter->instance, sizeof reporter->instance, "%s:%.5s", name, port);
}

// Reports first: they are what others judge us by.
static const struct {
    size_t duty;
    void (*run)(struct reporter *reporter);
} duties[] = {
    {offsetof(struct reporter, cleanup), bfr_reporter_cleanup},
    {offsetof(struct reporter, registration), bfr_reporter_register},
    {offsetof(struct reporter, report), bfr_reporter_report},
    {offsetof(struct reporter, errors), bfr_reporter_errors},
    {offsetof(struct reporter, telemetry), bfr_reporter_telemetry},
};

static const struct duty *duty_at(const struct reporter *reporter, size_t index)
{
    return (const struct duty *)(const void *)((const char *)reporter + duties[index].duty);
}

// Do what is due; returns when the next thing is.
static uint64_t turn(struct reporter *reporter)
{
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < sizeof duties / sizeof duties[0] && !bfr_courier_leaving(reporter->courier); i++) {
        if (bfr_duty_is_due(duty_at(reporter, i), bfr_courier_now(reporter->courier)))
            duties[i].run(reporter);
    }
    for (size_t i = 0; i < sizeof duties / sizeof duties[0]; i++) {
        if (duty_at(reporter, i)->due_ns < next_ns)
            next_ns = duty_at(reporter, i)->due_ns;
    }
    return next_ns;
}

void bfr_reporter_run(void *arg)
{
    struct reporter *reporter = arg;
    name_instance(reporter);
    while (bfr_courier_wait(reporter->courier, turn(reporter)))
        ;
    // A far end that did not take the last report is not kept waiting for.
    const struct duty *last = reporter->sends_reports ? &reporter->report : &reporter->telemetry;
    if (last->failures > 0 || last->due_ns == 0)
        return;
    bfr_reporter_telemetry(reporter);
    if (reporter->sends_reports)
        bfr_reporter_farewell(reporter);
}
