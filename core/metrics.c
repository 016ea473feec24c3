// SPDX-License-Identifier: Apache-2.0
// The registry of metrics: who is registered, which series exist, and their values. Updates run on any thread and take
// no lock; making a metric or a series and walking the lists take the registry's lock. Nothing is ever removed before
// bfr_metrics_free, so a pointer once given stays good.
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metrics_process.h"
#include "metrics_registry.h"

// From a commit in RAM to the longest a sender waits.
const double bfr_second_bounds[BFR_SECOND_BOUNDS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                     0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
static const double count_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static size_t count_strings(const char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static void free_strings(char **list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++)
        free(list[i]);
    free((void *)list);
}

// NULL when memory is short. Also for an empty list the result is not NULL.
static char **copy_strings(const char *const *list, size_t count)
{
    char **copy = (char **)calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i] == NULL) {
            free_strings(copy, count);
            return NULL;
        }
    }
    return copy;
}

static bool are_filled(const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list == NULL || list[i] == NULL)
            return false;
    }
    return true;
}

static bool same_strings(char *const *ours, const char *const *theirs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ours[i], theirs[i]) != 0)
            return false;
    }
    return true;
}

// [a-zA-Z_][a-zA-Z0-9_]*, with a colon too where allowed: the grammar of names in the exposition format.
static bool is_name(const char *text, bool colon)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' || (colon && *at == ':');
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && !(digit && at != text))
            return false;
    }
    return *text != '\0';
}

// `le` is the histogram's own, names that begin with two underscores are Prometheus's own, none may come twice.
static bool are_label_names(const char *const *names, size_t count, uint32_t type)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_name(names[i], false) || strncmp(names[i], "__", 2) == 0)
            return false;
        if (type == BFR_METRIC_HISTOGRAM && strcmp(names[i], "le") == 0)
            return false;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) == 0)
                return false;
        }
    }
    return true;
}

bool bfr_metrics_is_part(const char *name, const char *histogram)
{
    size_t size = strlen(histogram);
    if (strncmp(name, histogram, size) != 0)
        return false;
    return strcmp(name + size, "_bucket") == 0 || strcmp(name + size, "_sum") == 0 ||
           strcmp(name + size, "_count") == 0;
}

static bool names_clash(const struct bfr_metric *metric, uint32_t type, const char *name)
{
    return (metric->type == BFR_METRIC_HISTOGRAM && bfr_metrics_is_part(name, metric->name)) ||
           (type == BFR_METRIC_HISTOGRAM && bfr_metrics_is_part(metric->name, name));
}

static void free_series(struct bfr_series *series)
{
    if (series == NULL)
        return;
    free_strings(series->label_values, series->metric->label_count);
    free((void *)series->in_bucket);
    free(series);
}

static void free_metric(struct bfr_metric *metric)
{
    if (metric == NULL)
        return;
    while (metric->first != NULL) {
        struct bfr_series *next = metric->first->next;
        free_series(metric->first);
        metric->first = next;
    }
    free_strings(metric->label_names, metric->label_count);
    free(metric->name);
    free(metric->help);
    free(metric);
}

static void choose_bounds(struct bfr_metric *metric)
{
    bool seconds = ends_with(metric->name, "_seconds");
    metric->bounds = seconds ? bfr_second_bounds : count_bounds;
    metric->bound_count = seconds ? BFR_SECOND_BOUNDS : sizeof count_bounds / sizeof count_bounds[0];
}

static struct bfr_metric *make_metric(struct bfr_metrics *metrics, uint32_t type, const char *name, const char *help,
                                      const char *const *label_names)
{
    struct bfr_metric *metric = calloc(1, sizeof *metric);
    if (metric == NULL)
        return NULL;
    metric->metrics = metrics;
    metric->type = type;
    metric->label_count = count_strings(label_names);
    metric->label_names = copy_strings(label_names, metric->label_count);
    metric->name = strdup(name);
    metric->help = strdup(help != NULL ? help : "");
    if (metric->label_names == NULL || metric->name == NULL || metric->help == NULL) {
        free_metric(metric);
        return NULL;
    }
    if (type == BFR_METRIC_HISTOGRAM)
        choose_bounds(metric);
    return metric;
}

static struct bfr_series *make_series(struct bfr_metric *metric, const char *const *label_values)
{
    struct bfr_series *series = calloc(1, sizeof *series);
    if (series == NULL)
        return NULL;
    series->metric = metric;
    series->label_values = copy_strings(label_values, metric->label_count);
    if (metric->bound_count > 0)
        series->in_bucket = calloc(metric->bound_count + 1, sizeof *series->in_bucket);
    if (series->label_values == NULL || (metric->bound_count > 0 && series->in_bucket == NULL)) {
        free_series(series);
        return NULL;
    }
    return series;
}

// FNV-1a over the values and their ends.
static size_t choose_chain(const char *const *label_values, size_t count)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < count; i++) {
        const char *at = label_values[i];
        do {
            hash = (hash ^ (uint8_t)*at) * 16777619U;
        } while (*at++ != '\0');
    }
    return hash % METRIC_CHAINS;
}

// Under the lock.
static struct bfr_series *find_or_make(struct bfr_metric *metric, const char *const *label_values)
{
    size_t chain = choose_chain(label_values, metric->label_count);
    for (struct bfr_series *series = metric->chains[chain]; series != NULL; series = series->chain) {
        if (same_strings(series->label_values, label_values, metric->label_count))
            return series;
    }
    struct bfr_series *series = make_series(metric, label_values);
    if (series == NULL)
        return NULL;
    series->chain = metric->chains[chain];
    metric->chains[chain] = series;
    if (metric->last != NULL)
        metric->last->next = series;
    else
        metric->first = series;
    metric->last = series;
    return series;
}

struct bfr_series *bfr_metric_series(struct bfr_metric *metric, const char *const *label_values)
{
    if (metric == NULL || !are_filled(label_values, metric->label_count))
        return NULL;
    if (metric->label_count == 0)
        return metric->first; // made with the metric
    pthread_mutex_lock(&metric->metrics->lock);
    struct bfr_series *series = find_or_make(metric, label_values);
    pthread_mutex_unlock(&metric->metrics->lock);
    return series;
}

// Under the lock: the metric of that name if it is the very same, or none and *out_clash.
static struct bfr_metric *find_metric(struct bfr_metrics *metrics, uint32_t type, const char *name,
                                      const char *const *label_names, bool *out_clash)
{
    *out_clash = false;
    for (struct bfr_metric *metric = metrics->first; metric != NULL; metric = metric->next) {
        if (strcmp(metric->name, name) == 0) {
            size_t count = count_strings(label_names);
            if (metric->type == type && metric->label_count == count &&
                same_strings(metric->label_names, label_names, count))
                return metric;
            *out_clash = true;
        } else if (names_clash(metric, type, name)) {
            *out_clash = true;
        }
    }
    return NULL;
}

// A metric without labels has its one series from the start: a counter that is 0 must be seen as 0.
static struct bfr_metric *append_metric(struct bfr_metrics *metrics, struct bfr_metric *metric)
{
    if (metric == NULL)
        return NULL;
    if (metric->label_count == 0 && find_or_make(metric, NULL) == NULL) {
        free_metric(metric);
        return NULL;
    }
    if (metrics->last != NULL)
        metrics->last->next = metric;
    else
        metrics->first = metric;
    metrics->last = metric;
    return metric;
}

struct bfr_metric *bfr_metrics_register(struct bfr_metrics *metrics, uint32_t type, const char *name, const char *help,
                                        const char *const *label_names)
{
    bool valid = type >= BFR_METRIC_COUNTER && type <= BFR_METRIC_HISTOGRAM && is_name(name, true) &&
                 strncmp(name, "process_", strlen("process_")) != 0 &&
                 are_label_names(label_names, count_strings(label_names), type);
    if (!valid)
        return NULL;
    pthread_mutex_lock(&metrics->lock);
    bool clash = false;
    struct bfr_metric *metric = find_metric(metrics, type, name, label_names, &clash);
    if (metric == NULL && !clash)
        metric = append_metric(metrics, make_metric(metrics, type, name, help, label_names));
    pthread_mutex_unlock(&metrics->lock);
    return metric;
}

static void add_real(_Atomic double *to, double value)
{
    double seen = atomic_load_explicit(to, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(to, &seen, seen + value, memory_order_relaxed, memory_order_relaxed))
        ; // `seen` was refreshed
}

// Misuse, perhaps by a plugin: heard of, but never the end of the daemon.
static bool is_of_type(const struct bfr_series *series, uint32_t type)
{
    if (series->metric->type == type)
        return true;
    bfr_say(BFR_LOG_WARN, "metrics", "update of a metric of another type is ignored", "metric", series->metric->name,
            NULL);
    return false;
}

void bfr_series_add(struct bfr_series *series, double value)
{
    if (series == NULL)
        return;
    if (series->metric->type == BFR_METRIC_GAUGE) {
        add_real(&series->real, value);
    } else if (is_of_type(series, BFR_METRIC_COUNTER) && value > 0) { // a counter never goes back; NaN is not > 0
        if (value < 0x1p53 && (double)(uint64_t)value == value)
            atomic_fetch_add_explicit(&series->whole, (uint64_t)value, memory_order_relaxed);
        else
            add_real(&series->real, value);
    }
}

void bfr_series_set(struct bfr_series *series, double value)
{
    if (series != NULL && is_of_type(series, BFR_METRIC_GAUGE))
        atomic_store_explicit(&series->real, value, memory_order_relaxed);
}

void bfr_series_observe(struct bfr_series *series, double value)
{
    if (series == NULL || !is_of_type(series, BFR_METRIC_HISTOGRAM) || isnan(value))
        return;
    size_t bucket = bfr_metrics_bucket(series->metric->bounds, series->metric->bound_count, value);
    add_real(&series->real, value);
    atomic_fetch_add_explicit(&series->in_bucket[bucket], 1, memory_order_relaxed);
}

double bfr_series_value(const struct bfr_series *series)
{
    return (double)atomic_load_explicit(&series->whole, memory_order_relaxed) +
           atomic_load_explicit(&series->real, memory_order_relaxed);
}

void bfr_metrics_collect(struct bfr_metrics *metrics, void (*fn)(void *arg, struct bfr_metrics_writer *writer),
                         void *arg)
{
    struct metrics_collector *collector = calloc(1, sizeof *collector);
    if (collector == NULL) {
        bfr_say(BFR_LOG_ERROR, "metrics", "some metrics will be missing: out of memory", NULL);
        return;
    }
    collector->fn = fn;
    collector->arg = arg;
    pthread_mutex_lock(&metrics->lock);
    if (metrics->last_collector != NULL)
        metrics->last_collector->next = collector;
    else
        metrics->first_collector = collector;
    metrics->last_collector = collector;
    pthread_mutex_unlock(&metrics->lock);
}

struct bfr_metrics *bfr_metrics_new(void)
{
    struct bfr_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return NULL;
    pthread_mutex_init(&metrics->lock, NULL);
    pthread_mutex_init(&metrics->scrape, NULL);
    metrics->start_seconds = bfr_process_start_seconds();
    bfr_metrics_collect(metrics, bfr_metrics_write_process, &metrics->start_seconds);
    return metrics;
}

void bfr_metrics_free(struct bfr_metrics *metrics)
{
    if (metrics == NULL)
        return;
    while (metrics->first != NULL) {
        struct bfr_metric *next = metrics->first->next;
        free_metric(metrics->first);
        metrics->first = next;
    }
    while (metrics->first_collector != NULL) {
        struct metrics_collector *next = metrics->first_collector->next;
        free(metrics->first_collector);
        metrics->first_collector = next;
    }
    pthread_mutex_destroy(&metrics->scrape);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}
