// SPDX-License-Identifier: Apache-2.0
// The pages of the API port: is it alive, would it accept, how is it, and the figures. Runs on the admin thread only;
// reads snapshots that the pipeline and the registry hand out, changes nothing.
#include "http_admin_state.h"

#include "clock.h"
#include "plugin_loader.h"

// That it is answered says all there is to say.
void bfr_admin_page_livez(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)admin, (void)parameter;
    bfr_admin_reply_text(request, 200, "ok");
}

static bool is_ready(struct bfr_http_admin *admin, const char **out_reason)
{
    *out_reason = atomic_load(&admin->unready);
    return *out_reason == NULL && bfr_pipeline_ready(admin->setup.pipeline, out_reason);
}

void bfr_admin_page_readyz(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)parameter;
    const char *reason = NULL;
    if (is_ready(admin, &reason))
        bfr_admin_reply_text(request, 200, "ready");
    else
        bfr_admin_reply_text(request, 503, reason);
}

const char *bfr_admin_state_name(uint32_t state)
{
    switch (state) {
    case BFR_HEALTH_OK:
        return "ok";
    case BFR_HEALTH_DEGRADED:
        return "degraded";
    default:
        return "failed";
    }
}

struct health {
    json_t *stages;
    bool all_ok;
};

static bool add_stage(void *arg, const struct bfr_stage_status *stage)
{
    struct health *health = arg;
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", stage->stage, "plugin", stage->plugin, "kind",
                              bfr_kind_name(stage->kind), "status", bfr_admin_state_name(stage->state), "reason",
                              bfr_admin_text(stage->reason));
    if (stage->state != BFR_HEALTH_OK)
        health->all_ok = false;
    return json_array_append_new(health->stages, entry) == 0;
}

// The first four fields are those of the previous product, in its order. Without a directory of tenants there is nothing in
// it that could be unhealthy. 200 even when degraded: orchestrators restart what answers otherwise, and that would not help.
void bfr_admin_page_health(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)parameter;
    struct health health = {.stages = json_array(), .all_ok = true};
    admin->setup.stages(admin->setup.stages_arg, add_stage, &health);
    const char *reason = NULL;
    bool ready = is_ready(admin, &reason);
    uint64_t tenants = 0;
    bool loaded = bfr_admin_directory(admin, &tenants);
    uint64_t uptime_ns = bfr_clock_now(&bfr_clock_system) - admin->born_ns;
    bfr_admin_reply_json(request, 200,
                         json_pack("{s:s, s:s, s:I, s:b, s:I, s:b, s:s, s:o, s:o, s:o, s:o*}", "status",
                                   health.all_ok && ready && loaded ? "ok" : "degraded", "version",
                                   admin->setup.version, "tenant_count", (json_int_t)tenants, "database_healthy",
                                   loaded, "uptime_seconds", (json_int_t)(uptime_ns / BFR_NS_PER_S), "ready", ready,
                                   "reason", ready ? "" : reason, "stages", health.stages, "queues",
                                   bfr_admin_queues(admin), "sinks", bfr_admin_sinks(admin), "reload",
                                   bfr_admin_last_reload(admin, false)));
}

void bfr_admin_page_metrics(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)parameter;
    size_t size = 0;
    char *page = bfr_metrics_render(admin->setup.metrics, &size);
    bfr_admin_reply_body(request, 200, "text/plain; version=0.0.4; charset=utf-8", page, size);
}
