// SPDX-License-Identifier: Apache-2.0
// Registration of the edge's metrics and the few places where they are counted.
#include "http_figures.h"

#include <stdlib.h>

#include "http_request.h"

static const char *const statuses[] = {"200", "400", "401", "403", "404", "405", "409",
                                       "410", "413", "415", "429", "431", "503"};
#define STATUS_COUNT (sizeof statuses / sizeof statuses[0])
_Static_assert(STATUS_COUNT <= BFR_FIGURES_CODES, "a series for every status");

static const char *const closes[BFR_CLOSE_COUNT] = {
    [BFR_CLOSE_HEAD] = "head_timeout",
    [BFR_CLOSE_BODY] = "body_timeout",
    [BFR_CLOSE_RATE] = "body_rate",
    [BFR_CLOSE_REPLY] = "write_timeout",
    [BFR_CLOSE_IDLE] = "idle",
    [BFR_CLOSE_AGE] = "age",
    [BFR_CLOSE_ADDRESS] = "per_address",
    [BFR_CLOSE_SURPLUS] = "too_many",
    [BFR_CLOSE_PROXY_MISSING] = "proxy_missing",
    [BFR_CLOSE_PROXY_UNTRUSTED] = "proxy_untrusted",
    [BFR_CLOSE_PLAIN_HTTP] = "plain_http",
    [BFR_CLOSE_HANDSHAKE] = "tls_handshake",
};

static void collect(void *arg, struct bfr_metrics_writer *writer)
{
    struct bfr_http_shared *shared = arg;
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, "bytefreezer_receiver_connections",
                          "Open connections of the webhook port.", atomic_load(&shared->connections));
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, "bytefreezer_receiver_connections_limit",
                          "How many connections of the webhook port may be open.", shared->connections_max);
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, "bytefreezer_receiver_memory_used_bytes",
                          "Bytes of memory.budget in use by bodies.", (double)bfr_budget_used(shared->budget));
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, "bytefreezer_receiver_memory_limit_bytes", "memory.budget.",
                          (double)bfr_budget_limit(shared->budget));
    uint64_t blocked_ns, busy_ns;
    bfr_turns_read(&shared->turns, &blocked_ns, &busy_ns);
    bfr_metrics_write_one(
        writer, BFR_METRIC_GAUGE, "bytefreezer_receiver_loop_blocked_seconds",
        "Longest time that a loop of the webhook port was away from its sockets, in the last one to two minutes.",
        (double)blocked_ns / (double)BFR_NS_PER_S);
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, "bytefreezer_receiver_loop_busy_seconds",
                          "The same in processor time: the rest the loop waited for a processor or a lock.",
                          (double)busy_ns / (double)BFR_NS_PER_S);
}

bool bfr_figures_init(struct bfr_figures *figures, struct bfr_metrics *metrics, struct bfr_http_shared *shared)
{
    static const char *const by_code[] = {"code", NULL};
    static const char *const by_reason[] = {"reason", NULL};
    struct bfr_metric *requests =
        bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "bytefreezer_receiver_requests_total",
                             "Requests answered on the webhook port, by status code.", by_code);
    struct bfr_metric *refused = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, "bytefreezer_receiver_refused_total",
                                                      "Requests refused on the webhook port, by reason.", by_reason);
    struct bfr_metric *closed = bfr_metrics_register(
        metrics, BFR_METRIC_COUNTER, "bytefreezer_receiver_connections_closed_total",
        "Connections of the webhook port ended by a limit, or before they sent a request.", by_reason);
    struct bfr_metric *ack =
        bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, "bytefreezer_receiver_ack_duration_seconds",
                             "From the last byte of an accepted body to its reply.", NULL);
    if (requests == NULL || refused == NULL || closed == NULL || ack == NULL)
        return false;

    for (size_t i = 0; i < STATUS_COUNT; i++) {
        const char *values[] = {statuses[i], NULL};
        figures->requests[i].status = (uint16_t)strtoul(statuses[i], NULL, 10);
        figures->requests[i].series = bfr_metric_series(requests, values);
    }
    for (unsigned i = BFR_REFUSE_NONE + 1; i < BFR_REFUSE_COUNT; i++) {
        const char *values[] = {bfr_refusal_info(i)->label, NULL};
        figures->refused[i] = bfr_metric_series(refused, values);
    }
    for (unsigned i = 0; i < BFR_CLOSE_COUNT; i++) {
        const char *values[] = {closes[i], NULL};
        figures->closed[i] = bfr_metric_series(closed, values);
    }
    figures->ack_duration = bfr_metric_series(ack, NULL);
    bfr_metrics_collect(metrics, collect, shared);
    return true;
}

void bfr_figures_reply(struct bfr_figures *figures, uint16_t status, enum bfr_refusal refusal)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (figures->requests[i].status == status)
            bfr_series_add(figures->requests[i].series, 1);
    if (refusal != BFR_REFUSE_NONE)
        bfr_series_add(figures->refused[refusal], 1);
}

static void note_auth_failure(const struct bfr_http_request *request)
{
    static const enum bfr_auth_failure failures[BFR_REFUSE_COUNT] = {
        [BFR_REFUSE_TOKEN] = BFR_AUTH_FAILURE_TOKEN,
        [BFR_REFUSE_FOREIGN] = BFR_AUTH_FAILURE_FOREIGN,
        [BFR_REFUSE_TENANT_GONE] = BFR_AUTH_FAILURE_TENANT_GONE,
        [BFR_REFUSE_DATASET_GONE] = BFR_AUTH_FAILURE_DATASET_GONE,
        [BFR_REFUSE_AUTH_UNKNOWN] = BFR_AUTH_FAILURE_UNKNOWN,
    };
    enum bfr_auth_failure failure = failures[request->refusal];
    if (failure != 0)
        bfr_traffic_auth_failed(request->shared->setup.traffic, request->target.tenant, failure);
}

// The dataset of a test may be none of the tenant's.
void bfr_figures_traffic(const struct bfr_http_request *request, uint64_t now_ns, struct bfr_traffic_row **hint)
{
    bool admitted = request->stage >= BFR_AT_BODY;
    bool accepted = request->success == BFR_SUCCESS_ACCEPTED;
    if (request->success == BFR_SUCCESS_HEALTH)
        return;
    note_auth_failure(request);
    bfr_traffic_answered(request->shared->setup.traffic,
                         &(struct bfr_traffic_request){
                             .tenant = request->target.tenant,
                             .dataset = request->test ? "" : request->target.dataset,
                             .authorised = admitted,
                             .success = request->refusal == BFR_REFUSE_NONE,
                             .bytes_received = admitted ? request->body.source_bytes : 0,
                             .lines_received = request->meta.line_count,
                             .bytes_processed = accepted ? request->body.stored_bytes : 0,
                             .lines_processed = accepted ? request->meta.line_count : 0,
                             .duration_ns = now_ns - request->begun_ns,
                         },
                         hint);
}

void bfr_figures_close(struct bfr_figures *figures, enum bfr_close reason)
{
    bfr_series_add(figures->closed[reason], 1);
}

void bfr_figures_ack(struct bfr_figures *figures, uint64_t duration_ns)
{
    bfr_series_observe(figures->ack_duration, (double)duration_ns / (double)BFR_NS_PER_S);
}
