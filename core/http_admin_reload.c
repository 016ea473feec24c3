// SPDX-License-Identifier: Apache-2.0
// POST /api/v1/reload, and what the other pages tell of the last one. The reload itself is the app's matter: the worker asks for
// it and waits, so the admin loop goes on serving.
#include "http_admin_state.h"

#include <bfr/text.h>

#include "clock.h"
#include "http_admin_input.h"
#include "http_admin_work.h"

const struct bfr_settings *bfr_admin_enter(const struct bfr_http_admin *admin)
{
    if (admin->setup.in_force == NULL)
        return admin->setup.settings;
    return bfr_config_settings(bfr_in_force_enter(admin->setup.in_force));
}

void bfr_admin_leave(const struct bfr_http_admin *admin)
{
    if (admin->setup.in_force != NULL)
        bfr_in_force_leave(admin->setup.in_force);
}

static json_t *list_texts(const struct bfr_texts *texts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < texts->count; i++)
        (void)json_array_append_new(list, bfr_admin_text(texts->list[i]));
    return list;
}

// 0 seconds: there was none.
json_t *bfr_admin_last_reload(const struct bfr_http_admin *admin, bool details)
{
    if (admin->setup.in_force == NULL)
        return NULL;
    (void)bfr_in_force_enter(admin->setup.in_force);
    const struct bfr_reload_report *report = bfr_in_force_report(admin->setup.in_force);
    json_t *json =
        json_pack("{s:I, s:b, s:I, s:I}", "generation", (json_int_t)report->generation, "ok", report->ok, "at",
                  (json_int_t)(report->at_ns / (int64_t)BFR_NS_PER_S), "error_count", (json_int_t)report->errors.count);
    if (json != NULL && details) {
        (void)json_object_set_new(json, "errors", list_texts(&report->errors));
        (void)json_object_set_new(json, "restart_needed", list_texts(&report->needs_restart));
    }
    bfr_in_force_leave(admin->setup.in_force);
    return json;
}

static void answer(struct bfr_admin_job *job, const struct bfr_reload_report *report)
{
    job->status = report->ok ? 200 : 422;
    if (report->ok)
        job->reply = json_pack("{s:I, s:o}", "generation", (json_int_t)report->generation, "restart_needed",
                               list_texts(&report->needs_restart));
    else
        job->reply =
            json_pack("{s:s, s:o, s:I, s:i}", "error",
                      "the configuration has errors, or a stage refused it; what was in force still is", "errors",
                      list_texts(&report->errors), "generation", (json_int_t)report->generation, "status", 422);
}

// [worker]
static void reload(struct bfr_admin_job *job)
{
    struct bfr_http_admin *admin = job->admin;
    if (!admin->setup.reload(admin->setup.reload_arg)) {
        bfr_admin_job_fail(job, 503, "the daemon is stopping");
        return;
    }
    (void)bfr_in_force_enter(admin->setup.in_force);
    answer(job, bfr_in_force_report(admin->setup.in_force));
    bfr_in_force_leave(admin->setup.in_force);
}

void bfr_admin_page_reload(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)parameter;
    const struct bfr_admin_job order = {.run = reload};
    if (bfr_admin_read_nothing(request))
        bfr_admin_work_order(admin, request, &order);
}
