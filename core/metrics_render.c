// SPDX-License-Identifier: Apache-2.0
// The page that is scraped: Prometheus text format 0.0.4. Runs on the scraper's thread (the admin loop). Holds the
// registry's lock while it walks the lists, none but `scrape` while collectors run, so they may lock what they need.
//
// https://prometheus.io/docs/instrumenting/exposition_formats/
#include "metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "metrics_registry.h"
#include "utf8.h"

struct bfr_metrics_writer {
    FILE *page; // in memory; a failure shows when it is closed
};

static const char *const type_names[] = {"untyped", "counter", "gauge", "histogram"};

// Backslash and newline are escaped everywhere, quotes in label values only; the page is UTF-8 whatever it was given.
static void write_escaped(FILE *page, const char *text, bool quotes)
{
    while (*text != '\0') {
        uint32_t code = 0;
        size_t bytes = bfr_utf8_read(text, &code);
        if (bytes == 0)
            fputs(BFR_UTF8_REPLACEMENT, page);
        else if (code == '\n')
            fputs("\\n", page);
        else if (code == '\\' || (code == '"' && quotes))
            fprintf(page, "\\%c", (char)code);
        else
            fwrite(text, 1, bytes, page);
        text += bytes > 0 ? bytes : 1;
    }
}

// The shortest text that reads back as the same number.
static void write_number(FILE *page, double value)
{
    char text[40];
    if (isnan(value))
        snprintf(text, sizeof text, "NaN");
    else if (isinf(value))
        snprintf(text, sizeof text, value > 0 ? "+Inf" : "-Inf");
    else if (fabs(value) < 0x1p53 && (double)(int64_t)value == value)
        snprintf(text, sizeof text, "%.0f", value);
    else
        snprintf(text, sizeof text, "%.15g", value);
    if (isfinite(value) && strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    fputs(text, page);
}

static void write_label(FILE *page, bool first, const char *name, const char *value)
{
    fprintf(page, "%s%s=\"", first ? "{" : ",", name);
    write_escaped(page, value, true);
    fputc('"', page);
}

void bfr_metrics_write_family(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help)
{
    fprintf(writer->page, "# HELP %s ", name);
    write_escaped(writer->page, help, false);
    fprintf(writer->page, "\n# TYPE %s %s\n", name, type_names[type <= BFR_METRIC_HISTOGRAM ? type : 0]);
}

void bfr_metrics_write_value(struct bfr_metrics_writer *writer, const char *name, const char *const *labels,
                             double value)
{
    fputs(name, writer->page);
    size_t i = 0;
    for (; labels != NULL && labels[i] != NULL && labels[i + 1] != NULL; i += 2)
        write_label(writer->page, i == 0, labels[i], labels[i + 1]);
    fputs(i > 0 ? "} " : " ", writer->page);
    write_number(writer->page, value);
    fputc('\n', writer->page);
}

// name{labels} up to where the value begins; `bound` NULL: no le.
static void write_series_name(FILE *page, const struct bfr_series *series, const char *suffix, const double *bound)
{
    const struct bfr_metric *metric = series->metric;
    fprintf(page, "%s%s", metric->name, suffix);
    for (size_t i = 0; i < metric->label_count; i++)
        write_label(page, i == 0, metric->label_names[i], series->label_values[i]);
    if (bound != NULL) {
        fprintf(page, "%sle=\"", metric->label_count == 0 ? "{" : ",");
        write_number(page, *bound);
        fputc('"', page);
    }
    fputs(metric->label_count > 0 || bound != NULL ? "} " : " ", page);
}

// The count is the sum of the buckets as they were just read, so the page agrees with itself while others observe.
static void write_histogram(FILE *page, const struct bfr_series *series)
{
    const struct bfr_metric *metric = series->metric;
    const double infinity = INFINITY;
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        count += atomic_load_explicit(&series->in_bucket[i], memory_order_relaxed);
        write_series_name(page, series, "_bucket", i < metric->bound_count ? &metric->bounds[i] : &infinity);
        fprintf(page, "%" PRIu64 "\n", count);
    }
    write_series_name(page, series, "_sum", NULL);
    write_number(page, bfr_series_value(series));
    fputc('\n', page);
    write_series_name(page, series, "_count", NULL);
    fprintf(page, "%" PRIu64 "\n", count);
}

static void write_metric(struct bfr_metrics_writer *writer, const struct bfr_metric *metric)
{
    if (metric->first == NULL) // labels, but nothing counted yet
        return;
    bfr_metrics_write_family(writer, metric->type, metric->name, metric->help);
    for (const struct bfr_series *series = metric->first; series != NULL; series = series->next) {
        if (metric->type == BFR_METRIC_HISTOGRAM) {
            write_histogram(writer->page, series);
            continue;
        }
        write_series_name(writer->page, series, "", NULL);
        write_number(writer->page, bfr_series_value(series));
        fputc('\n', writer->page);
    }
}

// Collectors may be added meanwhile: only the links up to the last one seen under the lock are followed.
static void run_collectors(struct bfr_metrics_writer *writer, const struct metrics_collector *first,
                           const struct metrics_collector *last)
{
    for (const struct metrics_collector *at = first; at != NULL; at = at == last ? NULL : at->next)
        at->fn(at->arg, writer);
}

char *bfr_metrics_render(struct bfr_metrics *metrics, size_t *out_size)
{
    char *text = NULL;
    size_t size = 0;
    struct bfr_metrics_writer writer = {.page = open_memstream(&text, &size)};
    if (writer.page == NULL)
        return NULL;

    pthread_mutex_lock(&metrics->scrape);
    pthread_mutex_lock(&metrics->lock);
    for (const struct bfr_metric *metric = metrics->first; metric != NULL; metric = metric->next)
        write_metric(&writer, metric);
    const struct metrics_collector *first = metrics->first_collector, *last = metrics->last_collector;
    pthread_mutex_unlock(&metrics->lock);
    run_collectors(&writer, first, last);
    pthread_mutex_unlock(&metrics->scrape);

    bool failed = ferror(writer.page) != 0;
    if (fclose(writer.page) != 0 || failed) {
        free(text);
        return NULL;
    }
    *out_size = size;
    return text;
}
