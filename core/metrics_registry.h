// SPDX-License-Identifier: Apache-2.0
// What the files of the registry (metrics_*.c) share. Nobody else includes this.
#ifndef BFR_CORE_METRICS_REGISTRY_H
#define BFR_CORE_METRICS_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "metrics.h"

#define METRIC_CHAINS 64 // of series, per metric

// Upper bounds of the buckets of every histogram of seconds; the last bucket, +Inf, is not among them.
extern const double bfr_second_bounds[BFR_SECOND_BOUNDS];

// Where a histogram with these bounds counts `value`.
static inline size_t bfr_metrics_bucket(const double *bounds, size_t count, double value)
{
    size_t bucket = 0;
    while (bucket < count && value > bounds[bucket])
        bucket++;
    return bucket;
}

// Would a histogram called `histogram` write samples under `name`?
bool bfr_metrics_is_part(const char *name, const char *histogram);

struct bfr_series {
    struct bfr_series *next;  // in the order in which they were made
    struct bfr_series *chain; // same hash
    struct bfr_metric *metric;
    char **label_values; // one per label name
    // A counter is the sum of both: whole numbers, nearly all there are, go to the first and need no retry loop.
    _Atomic uint64_t whole;
    _Atomic double real;         // also a gauge's value and a histogram's sum
    _Atomic uint64_t *in_bucket; // histogram: observations per bucket, not cumulative; one more than there are bounds
};

struct bfr_metric {
    struct bfr_metric *next;
    struct bfr_metrics *metrics;
    uint32_t type; // enum bfr_metric_type
    char *name;
    char *help;
    char **label_names;
    size_t label_count;
    const double *bounds; // histogram: upper bounds of the buckets but the last, which is +Inf
    size_t bound_count;
    struct bfr_series *first, *last; // guarded by the registry's lock, as are the chains
    struct bfr_series *chains[METRIC_CHAINS];
};

struct metrics_collector {
    struct metrics_collector *next; // guarded by the registry's lock
    void (*fn)(void *arg, struct bfr_metrics_writer *writer);
    void *arg;
};

struct bfr_metrics {
    pthread_mutex_t lock; // lists; the values are atomics
    struct bfr_metric *first, *last;
    struct metrics_collector *first_collector, *last_collector;
    double start_seconds;   // of the process; for metrics_process.c
    pthread_mutex_t scrape; // one page at a time, so that no collector meets itself; taken before `lock`
};

// "A value of a metric", as both of them read it. [any]
double bfr_series_value(const struct bfr_series *series);

#endif
