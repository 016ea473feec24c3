// SPDX-License-Identifier: Apache-2.0
// Writes the table of pipe_traffic.c as metrics, family by family, on the scraper's thread. What never happened is not
// written: a dataset whose batches all went well has no series for failures.
#include <stddef.h>

#include <bfr/text.h>

#include "pipe_traffic_table.h"

#define PREFIX "bytefreezer_"

static const char *const failure_names[TRAFFIC_FAILURE_REASONS] = {
    [TRAFFIC_FAILURE_RETRY] = "retry",
    [TRAFFIC_FAILURE_OUTAGE] = "outage",
    [TRAFFIC_FAILURE_FATAL] = "fatal",
};

static const char *const auth_names[BFR_AUTH_FAILURE_COUNT] = {
    [BFR_AUTH_FAILURE_TOKEN] = "token",
    [BFR_AUTH_FAILURE_FOREIGN] = "foreign",
    [BFR_AUTH_FAILURE_TENANT_GONE] = "tenant_gone",
    [BFR_AUTH_FAILURE_DATASET_GONE] = "dataset_gone",
    [BFR_AUTH_FAILURE_UNKNOWN] = "auth_unknown",
};

// One family on its way to the page. The head goes out before the first sample; without one the family is left out.
struct family {
    struct bfr_metrics_writer *writer;
    uint32_t type;
    const char *name, *help;
    bool begun;
    size_t offset; // of its value, for the visitor
};

typedef void (*visit_fn)(struct family *family, struct bfr_traffic_row *row);

static void begin(struct family *family)
{
    if (!family->begun)
        bfr_metrics_write_family(family->writer, family->type, family->name, family->help);
    family->begun = true;
}

static void write_counter(struct family *family, const char *const *labels, uint64_t value)
{
    begin(family);
    bfr_metrics_write_value(family->writer, family->name, labels, (double)value);
}

static void write_timing(struct family *family, const char *const *labels, const struct bfr_timing *timing)
{
    begin(family);
    bfr_metrics_write_timing(family->writer, family->name, labels, timing);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void visit_rows(struct bfr_traffic *traffic, struct family family, visit_fn visit)
{
    struct traffic_tenant *tenant = atomic_load_explicit(&traffic->tenants, memory_order_acquire);
    for (; tenant != NULL; tenant = tenant->next) {
        struct bfr_traffic_row *row = atomic_load_explicit(&tenant->rows, memory_order_acquire);
        for (; row != NULL; row = row->next)
            visit(&family, row);
    }
}

// ---- requests ----

static void write_answers(struct family *family, struct bfr_traffic_row *row)
{
    for (unsigned success = 0; success < 2; success++) {
        const struct traffic_answers *answers = &row->answers[success];
        const char *const labels[] = {"tenant_id", row->tenant->name,          "dataset_id", row->dataset,
                                      "success",   success ? "true" : "false", NULL};
        if (get(&answers->requests) == 0)
            continue;
        if (family->type == BFR_METRIC_HISTOGRAM)
            write_timing(family, labels, &answers->processing);
        else
            write_counter(family, labels, get((const _Atomic uint64_t *)((const char *)answers + family->offset)));
    }
}

static const struct {
    const char *name, *help;
    size_t offset;
} answer_counters[] = {
    {PREFIX "requests_total", "Requests answered, by dataset and whether with 200.",
     offsetof(struct traffic_answers, requests)},
    {PREFIX "bytes_received_total", "Bytes of request bodies as they came.",
     offsetof(struct traffic_answers, bytes_received)},
    {PREFIX "bytes_processed_total", "Bytes of accepted batches as they are stored; duplicates are not counted.",
     offsetof(struct traffic_answers, bytes_processed)},
    {PREFIX "lines_received_total", "Lines of request bodies, as the sender counted them; 1 where it did not.",
     offsetof(struct traffic_answers, lines_received)},
    {PREFIX "lines_processed_total",
     "Lines of accepted batches, as the sender counted them; duplicates are not counted.",
     offsetof(struct traffic_answers, lines_processed)},
};

// ---- deliveries ----

static void write_uploads(struct family *family, struct bfr_traffic_row *row)
{
    for (unsigned cached = 0; cached < 2; cached++) {
        const struct bfr_timing *stored = &row->uploads[cached].stored;
        const char *const labels[] = {"tenant_id", row->tenant->name,         "dataset_id", row->dataset,
                                      "cached",    cached ? "true" : "false", NULL};
        if (bfr_timing_count(stored) > 0)
            write_timing(family, labels, stored);
    }
}

static void write_cache_hits(struct family *family, struct bfr_traffic_row *row)
{
    const char *const labels[] = {"tenant_id", row->tenant->name, "dataset_id", row->dataset, "cached", "true", NULL};
    uint64_t hits = bfr_timing_count(&row->uploads[true].stored);
    if (hits > 0)
        write_counter(family, labels, hits);
}

static void write_failures(struct family *family, struct bfr_traffic_row *row)
{
    for (unsigned i = 0; i < 2 * TRAFFIC_FAILURE_COUNT; i++) {
        bool cached = i >= TRAFFIC_FAILURE_COUNT;
        uint32_t failure = i % TRAFFIC_FAILURE_COUNT;
        uint64_t failures = get(&row->uploads[cached].failures[failure]);
        const char *const labels[] = {"tenant_id",
                                      row->tenant->name,
                                      "dataset_id",
                                      row->dataset,
                                      "cached",
                                      cached ? "true" : "false",
                                      "reason",
                                      failure < TRAFFIC_FAILURE_REASONS
                                          ? failure_names[failure]
                                          : bfr_reason_name(failure - TRAFFIC_FAILURE_REASONS + BFR_REASON_CONFLICT),
                                      NULL};
        if (failures > 0)
            write_counter(family, labels, failures);
    }
}

// ---- auth ----

// Once for each tenant: at its `other`.
static void write_auth_failures(struct family *family, struct bfr_traffic_row *row)
{
    for (unsigned i = 1; row == &row->tenant->rest && i < BFR_AUTH_FAILURE_COUNT; i++) {
        const char *const labels[] = {"tenant_id", row->tenant->name, "reason", auth_names[i], NULL};
        uint64_t failures = get(&row->tenant->auth_failures[i]);
        if (failures > 0)
            write_counter(family, labels, failures);
    }
}

void bfr_traffic_collect(void *arg, struct bfr_metrics_writer *writer)
{
    struct bfr_traffic *traffic = arg;
    for (size_t i = 0; i < sizeof answer_counters / sizeof answer_counters[0]; i++)
        visit_rows(traffic,
                   (struct family){writer, BFR_METRIC_COUNTER, answer_counters[i].name, answer_counters[i].help, false,
                                   answer_counters[i].offset},
                   write_answers);
    const struct {
        uint32_t type;
        const char *name, *help;
        visit_fn visit;
    } others[] = {
        {BFR_METRIC_HISTOGRAM, PREFIX "processing_duration_seconds",
         "From the first byte of a request's head to its reply.", write_answers},
        {BFR_METRIC_HISTOGRAM, PREFIX "upload_duration_seconds",
         "From handing a batch to a sink until it was stored, by whether its body was still in memory.", write_uploads},
        {BFR_METRIC_COUNTER, PREFIX "cache_hits_total",
         "Batches stored by a sink from memory, without reading them back from the disk.", write_cache_hits},
        {BFR_METRIC_COUNTER, PREFIX "upload_failures_total", "Deliveries to a sink that failed, by reason.",
         write_failures},
        {BFR_METRIC_COUNTER, PREFIX "auth_failures_total",
         "Requests whose sender was not let in, or could not be checked, by reason.", write_auth_failures},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        visit_rows(traffic, (struct family){writer, others[i].type, others[i].name, others[i].help, false, 0},
                   others[i].visit);
}
