// SPDX-License-Identifier: Apache-2.0
// Which names of metrics are the daemon's own: a plugin must not register them, or one page would hold two meanings.
#ifndef BFR_CORE_METRICS_OWN_H
#define BFR_CORE_METRICS_OWN_H

#include <stdbool.h>

// `name` without the prefix that plugins' names get ("requests_total"). Also true for what one of our histograms writes
// ("ack_duration_seconds_sum"). [any]
bool bfr_metric_is_own(const char *name);

#endif
