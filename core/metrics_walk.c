// SPDX-License-Identifier: Apache-2.0
// All metrics, one after the other. Runs on the reader's thread. Holds the registry's lock while it walks the lists, none but
// `scrape` while collectors run, so they may lock what they need.
#include "metrics_writer.h"

#include <math.h>
#include <stdlib.h>

#include "metrics_registry.h"

#define NAME_SIZE  256          // of a histogram's part; names are shorter
#define LABELS_MAX ((size_t)16) // of a histogram

void bfr_metrics_write_family(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help)
{
    writer->family(writer, type, name, help);
}

void bfr_metrics_write_value(struct bfr_metrics_writer *writer, const char *name, const char *const *labels,
                             double value)
{
    writer->value(writer, name, labels, value);
}

void bfr_metrics_write_one(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help,
                           double value)
{
    bfr_metrics_write_family(writer, type, name, help);
    bfr_metrics_write_value(writer, name, NULL, value);
}

// The count is the sum of the buckets as they were just read, so that what is written agrees with itself while others
// observe. Labels beyond LABELS_MAX are not written; nothing has so many.
void bfr_metrics_write_histogram(struct bfr_metrics_writer *writer, const struct metrics_histogram *histogram)
{
    const char *labels[2 * LABELS_MAX + 3];
    char name[NAME_SIZE], text[METRICS_NUMBER_SIZE];
    uint64_t count = 0;
    size_t size = 0;

    for (; size < 2 * LABELS_MAX && histogram->labels != NULL && histogram->labels[size] != NULL; size++)
        labels[size] = histogram->labels[size];
    const char **bound = &labels[size];
    snprintf(name, sizeof name, "%s_bucket", histogram->name);
    bound[0] = "le";
    bound[1] = text;
    bound[2] = NULL;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        count += atomic_load_explicit(&histogram->in_bucket[i], memory_order_relaxed);
        bfr_metrics_number(i < histogram->bound_count ? histogram->bounds[i] : (double)INFINITY, text);
        writer->value(writer, name, labels, (double)count);
    }
    bound[0] = NULL;
    snprintf(name, sizeof name, "%s_sum", histogram->name);
    writer->value(writer, name, labels, histogram->sum);
    snprintf(name, sizeof name, "%s_count", histogram->name);
    writer->value(writer, name, labels, (double)count);
}

static void write_metric(struct bfr_metrics_writer *writer, const struct bfr_metric *metric)
{
    if (metric->first == NULL) // labels, but nothing counted yet
        return;
    const char **labels = (const char **)calloc(2 * metric->label_count + 1, sizeof *labels);
    if (labels == NULL)
        return; // the others may be luckier
    writer->family(writer, metric->type, metric->name, metric->help);
    for (const struct bfr_series *series = metric->first; series != NULL; series = series->next) {
        for (size_t i = 0; i < metric->label_count; i++) {
            labels[2 * i] = metric->label_names[i];
            labels[2 * i + 1] = series->label_values[i];
        }
        if (metric->type == BFR_METRIC_HISTOGRAM)
            bfr_metrics_write_histogram(writer, &(struct metrics_histogram){.name = metric->name,
                                                                            .labels = labels,
                                                                            .bounds = metric->bounds,
                                                                            .bound_count = metric->bound_count,
                                                                            .in_bucket = series->in_bucket,
                                                                            .sum = bfr_series_value(series)});
        else
            writer->value(writer, metric->name, labels, bfr_series_value(series));
    }
    free((void *)labels);
}

// Collectors may be added meanwhile: only the links up to the last one seen under the lock are followed.
static void run_collectors(struct bfr_metrics_writer *writer, const struct metrics_collector *first,
                           const struct metrics_collector *last)
{
    for (const struct metrics_collector *at = first; at != NULL; at = at == last ? NULL : at->next)
        at->fn(at->arg, writer);
}

void bfr_metrics_walk(struct bfr_metrics *metrics, struct bfr_metrics_writer *writer)
{
    pthread_mutex_lock(&metrics->scrape);
    pthread_mutex_lock(&metrics->lock);
    for (const struct bfr_metric *metric = metrics->first; metric != NULL; metric = metric->next)
        write_metric(writer, metric);
    const struct metrics_collector *first = metrics->first_collector, *last = metrics->last_collector;
    pthread_mutex_unlock(&metrics->lock);
    run_collectors(writer, first, last);
    pthread_mutex_unlock(&metrics->scrape);
}
