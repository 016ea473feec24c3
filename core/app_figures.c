// SPDX-License-Identifier: Apache-2.0
// See app_figures.h.
#include "app_figures.h"

#include "clock.h"

#define PREFIX "bytefreezer_receiver_"

static void collect(void *arg, struct bfr_metrics_writer *writer)
{
    struct bfr_in_force *in_force = arg;
    (void)bfr_in_force_enter(in_force);
    const struct bfr_reload_report report = *bfr_in_force_report(in_force); // its texts are left alone
    bfr_in_force_leave(in_force);
    static const char build[] = PREFIX "build_info";
    const char *const labels[] = {"version", BFR_VERSION, NULL};
    bfr_metrics_write_family(writer, BFR_METRIC_GAUGE, build, "Always 1; the label says which version runs.");
    bfr_metrics_write_value(writer, build, labels, 1);

    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, PREFIX "config_generation",
                          "Which configuration is in effect: 1 as started, one more with each reload that took effect.",
                          (double)report.generation);
    bfr_metrics_write_one(
        writer, BFR_METRIC_GAUGE, PREFIX "config_last_reload_successful",
        "0 when the last reload was refused because of an error, and the configuration before it is in effect.",
        report.ok ? 1 : 0);
    bfr_metrics_write_one(writer, BFR_METRIC_GAUGE, PREFIX "config_last_reload_success_timestamp_seconds",
                          "Unix time at which the configuration in effect was loaded.",
                          (double)report.since_ns / (double)BFR_NS_PER_S);
    bfr_metrics_write_one(writer, BFR_METRIC_COUNTER, PREFIX "config_reload_failures_total",
                          "Reloads that were refused because of an error.",
                          (double)(report.reloads - (report.generation - 1)));
}

void bfr_app_figures_init(struct bfr_metrics *metrics, struct bfr_in_force *in_force)
{
    bfr_metrics_collect(metrics, collect, in_force);
}
