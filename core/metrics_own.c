// SPDX-License-Identifier: Apache-2.0
// The daemon's names of metrics. They are registered after the plugins', because sinks and queues come first, so a plugin's
// claim has to be turned down by name. A test holds this table against what a running daemon shows.
#include "metrics_own.h"

#include <stddef.h>
#include <string.h>

#include "metrics_registry.h"

static const char *const counters_and_gauges[] = {
    // the daemon
    "build_info",
    "config_generation",
    "config_last_reload_success_timestamp_seconds",
    "config_last_reload_successful",
    "config_reload_failures_total",
    "api_handshakes_failed_total",
    // the webhook port
    "connections",
    "connections_closed_total",
    "connections_limit",
    "loop_blocked_seconds",
    "loop_busy_seconds",
    "memory_limit_bytes",
    "memory_used_bytes",
    "refused_total",
    "requests_total",
    // the pipeline
    "accepted_batches_total",
    "accepted_bytes_total",
    "breaker_open",
    "buried_batches",
    "buried_bytes",
    "buried_total",
    "duplicates_total",
    "held_batches",
    "held_bytes",
    "oldest_held_age_seconds",
    "purged_batches_total",
    "purged_bytes_total",
    "queue_batches",
    "queue_bytes",
    "recovered_batches_total",
    "recovered_bytes_total",
    "redriven_total",
    "sink_attempts_total",
    "sink_in_flight",
    "stored_batches_total",
    "stored_bytes_total",
    "unaccounted_batches",
    "unaccounted_bytes",
    "unsynced_age_seconds",
    "unsynced_bytes",
};

static const char *const histograms[] = {"ack_duration_seconds", "sink_duration_seconds"};

bool bfr_metric_is_own(const char *name)
{
    for (size_t i = 0; i < sizeof counters_and_gauges / sizeof counters_and_gauges[0]; i++) {
        if (strcmp(name, counters_and_gauges[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof histograms / sizeof histograms[0]; i++) {
        if (strcmp(name, histograms[i]) == 0 || bfr_metrics_is_part(name, histograms[i]))
            return true;
    }
    return false;
}
