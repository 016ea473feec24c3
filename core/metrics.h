// SPDX-License-Identifier: Apache-2.0
// Metrics in the Prometheus text format 0.0.4. Updates are lock-free once a series exists; rendering takes the
// registry's lock. Figures that must be consistent with each other (the ledger) are written by a collector at scrape.
#ifndef BFR_CORE_METRICS_H
#define BFR_CORE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/ext/metrics.h>
#include <bfr/host.h> // enum bfr_metric_type

struct bfr_metrics;
struct bfr_metric; // a name with its label names
struct bfr_series; // one combination of label values

struct bfr_metrics *bfr_metrics_new(void);
void bfr_metrics_free(struct bfr_metrics *metrics);

// `name` in full ("bytefreezer_receiver_requests_total"). `label_names`: NULL-terminated or NULL; copied. The same name
// with the same type and labels gives the same metric; a clash gives NULL. Histograms of *_seconds get buckets from
// 0.5 ms to 60 s; others powers of two from 1 to 4096.
struct bfr_metric *bfr_metrics_register(struct bfr_metrics *metrics, uint32_t type, const char *name, const char *help,
                                        const char *const *label_names);

// Find or make; NULL only when memory is short, which all updates accept. Keep it: looking up takes the lock. [any]
struct bfr_series *bfr_metric_series(struct bfr_metric *metric, const char *const *label_values);
void bfr_series_add(struct bfr_series *series, double value);     // counter, gauge
void bfr_series_set(struct bfr_series *series, double value);     // gauge
void bfr_series_observe(struct bfr_series *series, double value); // histogram

// A histogram of seconds, with the buckets that registered ones have, for a table that keeps many. Zero is empty. [any]
#define BFR_SECOND_BOUNDS 16
struct bfr_timing {
    _Atomic uint64_t in_bucket[BFR_SECOND_BOUNDS + 1]; // not cumulative
    _Atomic uint64_t sum_ns;
};
void bfr_timing_note(struct bfr_timing *timing, uint64_t duration_ns);
uint64_t bfr_timing_count(const struct bfr_timing *timing);

// A collector writes families of its own at each scrape, in registration order, after the registered metrics.
struct bfr_metrics_writer;
void bfr_metrics_collect(struct bfr_metrics *metrics, void (*fn)(void *arg, struct bfr_metrics_writer *writer),
                         void *arg);
void bfr_metrics_write_family(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help);
// `labels`: key, value, ..., NULL; or NULL. Values are escaped here.
void bfr_metrics_write_value(struct bfr_metrics_writer *writer, const char *name, const char *const *labels,
                             double value);
// A family of one sample without labels.
void bfr_metrics_write_one(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help,
                           double value);
void bfr_metrics_write_timing(struct bfr_metrics_writer *writer, const char *name, const char *const *labels,
                              const struct bfr_timing *timing);

// The whole page; free() it. NULL when memory is short. [any]
char *bfr_metrics_render(struct bfr_metrics *metrics, size_t *out_size);

// bfr_metrics_1.samples. `visit` runs without a lock. [any]
bool bfr_metrics_visit(struct bfr_metrics *metrics, bool (*visit)(void *arg, const struct bfr_sample *sample),
                       void *arg);

#endif
