// SPDX-License-Identifier: Apache-2.0
// A histogram of durations without a name or labels of its own, for tables that keep many of them and write them at scrape.
// Noting takes no lock and allocates nothing; any thread.
#include "metrics_registry.h"
#include "metrics_writer.h"

#include "clock.h"

void bfr_timing_note(struct bfr_timing *timing, uint64_t duration_ns)
{
    double seconds = (double)duration_ns / (double)BFR_NS_PER_S;
    size_t bucket = bfr_metrics_bucket(bfr_second_bounds, BFR_SECOND_BOUNDS, seconds);
    atomic_fetch_add_explicit(&timing->in_bucket[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&timing->sum_ns, duration_ns, memory_order_relaxed);
}

uint64_t bfr_timing_count(const struct bfr_timing *timing)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= BFR_SECOND_BOUNDS; i++)
        count += atomic_load_explicit(&timing->in_bucket[i], memory_order_relaxed);
    return count;
}

void bfr_metrics_write_timing(struct bfr_metrics_writer *writer, const char *name, const char *const *labels,
                              const struct bfr_timing *timing)
{
    bfr_metrics_write_histogram(
        writer, &(struct metrics_histogram){
                    .name = name,
                    .labels = labels,
                    .bounds = bfr_second_bounds,
                    .bound_count = BFR_SECOND_BOUNDS,
                    .in_bucket = timing->in_bucket,
                    .sum = (double)atomic_load_explicit(&timing->sum_ns, memory_order_relaxed) / (double)BFR_NS_PER_S,
                });
}
