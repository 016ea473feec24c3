// SPDX-License-Identifier: Apache-2.0
// The pipeline's metrics. Events count on the spot, lock-free. What must agree with each other - the ledger - and what
// changes by itself - ages, fill - is written by a collector when somebody scrapes, on his thread.
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "pipe_chain.h"

#define PREFIX "bytefreezer_receiver_"

static const char *const outcome_names[BFR_ATTEMPT_OUTCOMES] = {"stored", "retry", "outage", "reject", "fatal"};

static size_t outcome_index(const struct bfr_slot *slot)
{
    switch (slot->outcome) {
    case BFR_STORED:
        return 0;
    case BFR_REJECT:
        return 3;
    case BFR_FATAL:
        return 4;
    default:
        return slot->flags & BFR_OUTAGE ? 2 : 1;
    }
}

// --- events

static struct bfr_series *series(struct bfr_metric *metric, const char *const *values)
{
    return metric != NULL ? bfr_metric_series(metric, values) : NULL;
}

static void redriven_init(struct bfr_pipe_figures *figures, struct bfr_metrics *metrics)
{
    static const char *const by_label[] = {"by", NULL};
    static const char *const names[] = {
        [BFR_REDRIVEN_BY_REQUEST] = "request",
        [BFR_REDRIVEN_BY_RECOVERY] = "recovery",
    };
    struct bfr_metric *redriven = bfr_metrics_register(
        metrics, BFR_METRIC_COUNTER, PREFIX "redriven_total",
        "Dead letters offered to their sinks again: on request, or by itself on a sink's recovery.", by_label);
    for (uint32_t by = 0; by < BFR_REDRIVEN_BY_COUNT; by++) {
        const char *const values[] = {names[by], NULL};
        figures->redriven[by] = series(redriven, values);
    }
}

void bfr_pipe_figures_init(struct bfr_pipe_figures *figures, struct bfr_metrics *metrics)
{
    static const char *const reason_label[] = {"reason", NULL};
    struct bfr_metric *duplicates = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, PREFIX "duplicates_total",
                                                         "Batches answered as duplicates of an accepted one.", NULL);
    struct bfr_metric *buried =
        bfr_metrics_register(metrics, BFR_METRIC_COUNTER, PREFIX "buried_total",
                             "Batches set aside as dead letters, by reason and counted once per sink.", reason_label);
    figures->duplicates = series(duplicates, NULL);
    for (uint32_t reason = BFR_REASON_CONFLICT; reason < BFR_REASON_COUNT; reason++) {
        const char *const values[] = {bfr_reason_name(reason), NULL};
        figures->buried[reason] = series(buried, values);
    }
    redriven_init(figures, metrics);
}

void bfr_sink_figures_init(struct bfr_sink_figures *figures, struct bfr_metrics *metrics, struct bfr_traffic *traffic,
                           const char *sink)
{
    static const char *const attempt_labels[] = {"sink", "outcome", NULL};
    static const char *const sink_label[] = {"sink", NULL};
    struct bfr_metric *attempts = bfr_metrics_register(metrics, BFR_METRIC_COUNTER, PREFIX "sink_attempts_total",
                                                       "Deliveries to a sink that ended, by outcome.", attempt_labels);
    struct bfr_metric *duration = bfr_metrics_register(metrics, BFR_METRIC_HISTOGRAM, PREFIX "sink_duration_seconds",
                                                       "From handing a batch to a sink to its outcome.", sink_label);
    const char *const sink_value[] = {sink, NULL};
    figures->traffic = traffic;
    figures->duration = series(duration, sink_value);
    for (size_t i = 0; i < BFR_ATTEMPT_OUTCOMES; i++) {
        const char *const values[] = {sink, outcome_names[i], NULL};
        figures->attempts[i] = series(attempts, values);
    }
}

void bfr_sink_figures_note(const struct bfr_sink_figures *figures, const struct bfr_slot *slot, uint64_t now_ns)
{
    uint64_t took_ns = now_ns > slot->put_ns ? now_ns - slot->put_ns : 0;
    bfr_series_add(figures->attempts[outcome_index(slot)], 1);
    bfr_series_observe(figures->duration, (double)took_ns / (double)BFR_NS_PER_S);
    bfr_traffic_uploaded(figures->traffic, slot, took_ns);
}

// --- the ledger, at scrape

// The families of the ledger: name, help, and where the figures stand in a row.
static const struct {
    const char *name, *help;
    uint32_t type;
    size_t offset;
} ledger_families[] = {
    {PREFIX "recovered_batches_total", "Batches found at start.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, recovered_batches)},
    {PREFIX "recovered_bytes_total", "Bytes of batches found at start.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, recovered_bytes)},
    {PREFIX "accepted_batches_total", "Batches taken by the first queue.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, accepted_batches)},
    {PREFIX "accepted_bytes_total", "Bytes of batches taken by the first queue.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, accepted_bytes)},
    {PREFIX "stored_batches_total", "Batches confirmed by every sink.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, stored_batches)},
    {PREFIX "stored_bytes_total", "Bytes of batches confirmed by every sink.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, stored_bytes)},
    {PREFIX "purged_batches_total", "Batches deleted on request or by age.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, purged_batches)},
    {PREFIX "purged_bytes_total", "Bytes of batches deleted on request or by age.", BFR_METRIC_COUNTER,
     offsetof(struct bfr_ledger_row, purged_bytes)},
    {PREFIX "held_batches", "Batches in the queues.", BFR_METRIC_GAUGE, offsetof(struct bfr_ledger_row, held_batches)},
    {PREFIX "held_bytes", "Bytes in the queues.", BFR_METRIC_GAUGE, offsetof(struct bfr_ledger_row, held_bytes)},
    {PREFIX "buried_batches", "Dead letters.", BFR_METRIC_GAUGE, offsetof(struct bfr_ledger_row, buried_batches)},
    {PREFIX "buried_bytes", "Bytes of dead letters.", BFR_METRIC_GAUGE, offsetof(struct bfr_ledger_row, buried_bytes)},
};

#define OTHER "other"

// A copy of the rows that get a label of their own; the rest is summed under OTHER, as is a tenant that is called so. Rows
// keep their order for the life of the process, so a tenant never moves from one label to another.
struct rows {
    struct bfr_ledger_row *list;
    size_t count, labels_max;
    struct bfr_ledger_row rest; // without a tenant as long as there is nothing in it
    bool short_of_memory;
};

static void row_add(struct bfr_ledger_row *sum, const struct bfr_ledger_row *row)
{
    for (size_t i = 0; i < sizeof ledger_families / sizeof ledger_families[0]; i++) {
        size_t offset = ledger_families[i].offset;
        uint64_t one, other;
        memcpy(&one, (const char *)sum + offset, sizeof one);
        memcpy(&other, (const char *)row + offset, sizeof other);
        one += other;
        memcpy((char *)sum + offset, &one, sizeof one);
    }
}

static bool rows_append(struct rows *rows, const struct bfr_ledger_row *row)
{
    struct bfr_ledger_row *list = realloc(rows->list, (rows->count + 1) * sizeof *list);
    rows->short_of_memory |= list == NULL;
    if (list == NULL)
        return false;
    rows->list = list;
    list[rows->count++] = *row;
    return true;
}

static bool rows_gather(void *arg, const struct bfr_ledger_row *row)
{
    struct rows *rows = arg;
    if (row->tenant == NULL)
        return true; // the total: what the labels sum up to
    if (rows->count < rows->labels_max && strcmp(row->tenant, OTHER) != 0)
        return rows_append(rows, row);
    row_add(&rows->rest, row);
    rows->rest.tenant = OTHER;
    return true;
}

static void write_row(struct bfr_metrics_writer *writer, const char *name, const char *tenant, double value)
{
    const char *const labels[] = {"tenant_id", tenant, NULL};
    bfr_metrics_write_value(writer, name, labels, value);
}

static void write_ledger(struct bfr_metrics_writer *writer, const struct rows *rows)
{
    for (size_t i = 0; i < sizeof ledger_families / sizeof ledger_families[0]; i++) {
        bfr_metrics_write_family(writer, ledger_families[i].type, ledger_families[i].name, ledger_families[i].help);
        for (size_t j = 0; j < rows->count; j++) {
            uint64_t value;
            memcpy(&value, (const char *)&rows->list[j] + ledger_families[i].offset, sizeof value);
            write_row(writer, ledger_families[i].name, rows->list[j].tenant, (double)value);
        }
    }
}

static void write_unaccounted(struct bfr_metrics_writer *writer, const struct rows *rows)
{
    static const char batches[] = PREFIX "unaccounted_batches", bytes[] = PREFIX "unaccounted_bytes";
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, batches,
                             "recovered + accepted - stored - held - buried - purged; 0 unless there is a bug.");
    for (size_t i = 0; i < rows->count; i++) {
        const struct bfr_ledger_row *row = &rows->list[i];
        int64_t in = (int64_t)(row->recovered_batches + row->accepted_batches);
        int64_t out = (int64_t)(row->stored_batches + row->held_batches + row->buried_batches + row->purged_batches);
        write_row(writer, batches, row->tenant, (double)(in - out));
    }
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, bytes, "The same in bytes.");
    for (size_t i = 0; i < rows->count; i++) {
        const struct bfr_ledger_row *row = &rows->list[i];
        int64_t in = (int64_t)(row->recovered_bytes + row->accepted_bytes);
        int64_t out = (int64_t)(row->stored_bytes + row->held_bytes + row->buried_bytes + row->purged_bytes);
        write_row(writer, bytes, row->tenant, (double)(in - out));
    }
}

// --- the stages, at scrape

static void write_queues(struct bfr_pipeline *pipeline, struct bfr_metrics_writer *writer)
{
    static const char *const names[] = {PREFIX "queue_batches", PREFIX "queue_bytes"};
    static const char *const helps[] = {"Batches a queue holds, dead letters not counted.",
                                        "Bytes of the batches a queue holds, dead letters not counted."};
    int64_t oldest_ns = 0;
    for (size_t family = 0; family < 2; family++) {
        bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, names[family], helps[family]);
        for (size_t i = 0; i < pipeline->queue_count; i++) {
            struct bfr_queue_stats stats;
            const char *const labels[] = {"queue", bfr_stage_name(pipeline->ports[i].stage), NULL};
            bfr_port_stats(&pipeline->ports[i], &stats);
            bfr_metrics_write_value(writer, names[family], labels,
                                    (double)(family == 0 ? stats.held_batches : stats.held_bytes));
            if (stats.oldest_received_ns > 0 && (oldest_ns == 0 || stats.oldest_received_ns < oldest_ns))
                oldest_ns = stats.oldest_received_ns;
        }
    }
    int64_t age_ns = oldest_ns > 0 ? bfr_clock_wall(pipeline->clock) - oldest_ns : 0;
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, PREFIX "oldest_held_age_seconds",
                             "Age of the oldest batch that is not stored yet.");
    bfr_metrics_write_value(writer, PREFIX "oldest_held_age_seconds", NULL,
                            age_ns > 0 ? (double)age_ns / (double)BFR_NS_PER_S : 0);
}

// What is accepted and not on a disk: a loss of power would take it. A batch that a stable queue is about to sync is still
// held by the volatile one before it; where there is none, it is not accepted yet.
static void write_unsynced(struct bfr_pipeline *pipeline, struct bfr_metrics_writer *writer)
{
    uint64_t held_bytes = 0;
    int64_t oldest_ns = 0, now_ns = bfr_clock_wall(pipeline->clock);
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        struct bfr_queue_stats stats;
        if (!pipeline->ports[i].is_volatile)
            continue;
        bfr_port_stats(&pipeline->ports[i], &stats);
        held_bytes += stats.held_bytes;
        if (stats.oldest_received_ns > 0 && (oldest_ns == 0 || stats.oldest_received_ns < oldest_ns))
            oldest_ns = stats.oldest_received_ns;
    }
    bool aged = oldest_ns > 0 && now_ns > oldest_ns;
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, PREFIX "unsynced_bytes",
                          "Accepted and not on a disk yet: what a loss of power would take.", (double)held_bytes);
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, PREFIX "unsynced_age_seconds", "Age of the oldest batch of that.",
                          aged ? (double)(now_ns - oldest_ns) / (double)BFR_NS_PER_S : 0);
}

static void write_sinks(struct bfr_pipeline *pipeline, struct bfr_metrics_writer *writer)
{
    struct bfr_port *sinks = &pipeline->ports[pipeline->queue_count];
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, PREFIX "sink_in_flight", "Deliveries a sink is working on.");
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        const char *const labels[] = {"sink", bfr_stage_name(sinks[i].stage), NULL};
        bfr_metrics_write_value(writer, PREFIX "sink_in_flight", labels,
                                (double)bfr_deliveries_count(sinks[i].deliveries));
    }
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, PREFIX "breaker_open",
                             "1 while a sink is unreachable and only probed.");
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        const char *const labels[] = {"sink", bfr_stage_name(sinks[i].stage), NULL};
        bool open = sinks[i].feeder != NULL && bfr_link_breaker_open(sinks[i].feeder);
        bfr_metrics_write_value(writer, PREFIX "breaker_open", labels, open ? 1 : 0);
    }
}

void bfr_pipe_figures_collect(void *arg, struct bfr_metrics_writer *writer)
{
    struct bfr_pipeline *pipeline = arg;
    struct rows rows = {.labels_max = atomic_load(&pipeline->tenant_labels)};
    bfr_ledger_visit(pipeline->ledger, rows_gather, &rows);
    if (!rows.short_of_memory && (rows.rest.tenant == NULL || rows_append(&rows, &rows.rest))) {
        write_ledger(writer, &rows);
        write_unaccounted(writer, &rows);
    }
    free(rows.list);
    write_queues(pipeline, writer);
    write_unsynced(pipeline, writer);
    write_sinks(pipeline, writer);
}
