// SPDX-License-Identifier: Apache-2.0
// The figures of the pipeline in one reply, and the level of the log. Runs on the admin thread; reads snapshots.
#include "http_admin_state.h"

#include <bfr/text.h>

#include "clock.h"
#include "http_admin_figures.h"
#include "http_admin_input.h"
#include "log.h"

// --- stats

// The total comes first, and is all that is asked for.
static bool take_total(void *arg, const struct bfr_ledger_row *row)
{
    *(json_t **)arg = bfr_admin_row(row);
    return false;
}

// null: the queue does not tell, or it is not filling.
static json_t *known(uint64_t value)
{
    return value == 0 || value == UINT64_MAX ? json_null() : json_integer((json_int_t)value);
}

static bool add_queue(void *arg, const struct bfr_queue_status *queue)
{
    const struct bfr_queue_stats *stats = &queue->stats;
    int64_t oldest_ns = stats->oldest_received_ns;
    int64_t age_ns = oldest_ns > 0 ? bfr_clock_wall(&bfr_clock_system) - oldest_ns : 0;
    double age_s = age_ns > 0 ? (double)age_ns / (double)BFR_NS_PER_S : 0;
    json_t *entry =
        json_pack("{s:s, s:s, s:b, s:o, s:o, s:I, s:I, s:f, s:o, s:o}", "name", queue->name, "plugin", queue->plugin,
                  "volatile", queue->is_volatile, "held", bfr_admin_pair(stats->held_batches, stats->held_bytes),
                  "buried", bfr_admin_pair(stats->buried_batches, stats->buried_bytes), "used_bytes",
                  (json_int_t)stats->used_bytes, "limit_bytes", (json_int_t)stats->limit_bytes, "oldest_age_seconds",
                  age_s, "free_bytes", known(stats->free_bytes), "full_in_seconds", known(stats->full_seconds));
    return json_array_append_new(arg, entry) == 0;
}

static bool add_sink(void *arg, const struct bfr_sink_status *sink)
{
    json_t *entry = json_pack("{s:s, s:s, s:I, s:b}", "name", sink->name, "plugin", sink->plugin, "in_flight",
                              (json_int_t)sink->in_flight, "breaker_open", sink->breaker_open);
    return json_array_append_new(arg, entry) == 0;
}

json_t *bfr_admin_queues(const struct bfr_http_admin *admin)
{
    json_t *queues = json_array();
    bfr_pipeline_queues(admin->setup.pipeline, add_queue, queues);
    return queues;
}

json_t *bfr_admin_sinks(const struct bfr_http_admin *admin)
{
    json_t *sinks = json_array();
    bfr_pipeline_sinks(admin->setup.pipeline, add_sink, sinks);
    return sinks;
}

void bfr_admin_page_stats(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    json_t *totals = NULL;
    uint64_t uptime_ns = bfr_clock_now(&bfr_clock_system) - admin->born_ns;
    (void)parameter;
    bfr_pipeline_ledger(admin->setup.pipeline, take_total, &totals);
    json_t *stats =
        json_pack("{s:I, s:o, s:I, s:o, s:o}", "uptime_seconds", (json_int_t)(uptime_ns / BFR_NS_PER_S), "totals",
                  totals, "unaccounted_batches", (json_int_t)bfr_pipeline_unaccounted(admin->setup.pipeline), "queues",
                  bfr_admin_queues(admin), "sinks", bfr_admin_sinks(admin));
    if (stats != NULL) {
        bfr_admin_add_figures(admin, stats);
        bfr_admin_add_tenants(admin, stats);
        (void)json_object_set_new(stats, "reload", bfr_admin_last_reload(admin, true));
    }
    bfr_admin_reply_json(request, 200, stats);
}

// --- log level

static void reply_level(struct evhttp_request *request)
{
    bfr_admin_reply_json(request, 200, json_pack("{s:s}", "level", bfr_log_level_name(bfr_log_level())));
}

void bfr_admin_page_level(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)admin, (void)parameter;
    reply_level(request);
}

// Until the next reload or start, which takes it from the configuration again.
void bfr_admin_page_set_level(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    uint32_t level = 0;
    (void)admin, (void)parameter;
    if (!bfr_admin_read_level(request, &level))
        return;
    bfr_log_set_level(level);
    bfr_say(BFR_LOG_WARN, "api", "the log level was changed", "to", bfr_log_level_name(level), NULL);
    reply_level(request);
}
