// SPDX-License-Identifier: Apache-2.0
// The walk over all metrics, and who takes what it finds: the page (metrics_render.c), a visitor (metrics_visit.c). Nobody
// else includes this.
#ifndef BFR_CORE_METRICS_WRITER_H
#define BFR_CORE_METRICS_WRITER_H

#include <stdatomic.h>
#include <stdio.h>

#include "metrics.h"

// bfr_metrics_write_family and bfr_metrics_write_value end here. Nothing outlives the call but what is copied.
struct bfr_metrics_writer {
    void (*family)(struct bfr_metrics_writer *writer, uint32_t type, const char *name, const char *help);
    void (*value)(struct bfr_metrics_writer *writer, const char *name, const char *const *labels, double value);
    FILE *out; // in memory; a failure shows when it is closed
};

// One series of a histogram. `in_bucket` has one more than there are bounds.
struct metrics_histogram {
    const char *name;          // of the family
    const char *const *labels; // key, value, ..., NULL; or NULL
    const double *bounds;
    size_t bound_count;
    const _Atomic uint64_t *in_bucket;
    double sum;
};
void bfr_metrics_write_histogram(struct bfr_metrics_writer *writer, const struct metrics_histogram *histogram);

// Everything that is registered, then what the collectors write. Holds the registry's lock for the first part. [any]
void bfr_metrics_walk(struct bfr_metrics *metrics, struct bfr_metrics_writer *writer);

// The shortest text that reads back as the same number.
#define METRICS_NUMBER_SIZE 40
void bfr_metrics_number(double value, char out[METRICS_NUMBER_SIZE]);

#endif
