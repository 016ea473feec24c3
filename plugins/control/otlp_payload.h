// SPDX-License-Identifier: Apache-2.0
// All metrics as one OTLP request in JSON (opentelemetry-proto 1.x, ExportMetricsServiceRequest).
#ifndef BFR_OTLP_PAYLOAD_H
#define BFR_OTLP_PAYLOAD_H

#include <jansson.h>

#include <bfr/ext/metrics.h>
#include <bfr/plugin.h>

struct otlp_resource {
    const char *service_name, *version, *instance;
    int64_t started_ns; // Unix time from which the counters count
};

// NULL when memory is short.
json_t *bfr_otlp_payload(const struct bfr_host *host, const struct bfr_metrics_1 *metrics,
                         const struct otlp_resource *resource);

#endif
