// SPDX-License-Identifier: Apache-2.0
// See app_figures.h.
#include "app_figures.h"

#include "clock.h"

#define PREFIX "bytefreezer_receiver_"

static void collect(void *arg, struct bfr_metrics_writer *writer)
{
    struct bfr_app_figures *figures = arg;
    static const char build[] = PREFIX "build_info";
    const char *const labels[] = {"version", BFR_VERSION, NULL};
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, build, "Always 1; the label says which version runs.");
    bfr_metrics_write_value(writer, build, labels, 1);

    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, PREFIX "config_generation",
                          "Which configuration is in effect: 1 as started, one more with each reload that took effect.",
                          (double)atomic_load(&figures->generation));
    bfr_metrics_write_one(
        writer, BFR_METRIC_GAUGE, PREFIX "config_last_reload_successful",
        "0 when the last reload was refused because of an error, and the configuration before it is in effect.",
        atomic_load(&figures->reload_failed) ? 0 : 1);
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, PREFIX "config_last_reload_success_timestamp_seconds",
                          "Unix time at which the configuration in effect was loaded.",
                          (double)atomic_load(&figures->reloaded_ns) / (double)BFR_NS_PER_S);
    bfr_metrics_write_one(writer, BFR_METRIC_COUNTER, PREFIX "config_reload_failures_total",
                          "Reloads that were refused because of an error.",
                          (double)atomic_load(&figures->reload_failures));
}

void bfr_app_figures_init(struct bfr_app_figures *figures, struct bfr_metrics *metrics)
{
    bfr_app_figures_reloaded(figures, 1);
    bfr_metrics_collect(metrics, collect, figures);
}

void bfr_app_figures_reloaded(struct bfr_app_figures *figures, uint64_t generation)
{
    atomic_store(&figures->generation, generation);
    atomic_store(&figures->reloaded_ns, bfr_clock_wall(&bfr_clock_system));
    atomic_store(&figures->reload_failed, false);
}

void bfr_app_figures_reload_failed(struct bfr_app_figures *figures)
{
    atomic_fetch_add(&figures->reload_failures, 1);
    atomic_store(&figures->reload_failed, true);
}
