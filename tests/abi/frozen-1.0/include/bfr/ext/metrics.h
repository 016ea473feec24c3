/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host extension "metrics/1": what /metrics shows, sample by sample. For services that push it to someone.
 *
 *     const struct bfr_metrics_1 *metrics = host->get_extension(host, BFR_EXT_METRICS_1);
 */
#ifndef BFR_EXT_METRICS_H
#define BFR_EXT_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BFR_EXT_METRICS_1 "metrics/1"

struct bfr_host;

/* One line of the page. A histogram is given as there: for each series its `_bucket` samples, cumulative, with the label
 * `le` last, ending with "+Inf"; then `_sum`, then `_count`. */
struct bfr_sample {
    uint32_t size;      /* sizeof(struct bfr_sample) */
    uint32_t type;      /* enum bfr_metric_type, of the family */
    const char *family; /* "bytefreezer_receiver_ack_duration_seconds" */
    const char *help;
    const char *name;          /* that of the family, for histograms with one of the endings above */
    const char *const *labels; /* key, value, ..., NULL; never NULL */
    double value;
};

struct bfr_metrics_1 {
    uint32_t size; /* sizeof(struct bfr_metrics_1) */

    /* Visit all samples, those of a family one after the other. Everything in a sample lives for the call of `visit`,
     * which may call the host and returns false to stop. Returns false when memory was short. [any, started] */
    bool (*samples)(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_sample *sample), void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
