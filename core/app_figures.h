// SPDX-License-Identifier: Apache-2.0
// The daemon's own metrics: the build, and the configuration in force. Keeps nothing; both are asked at each scrape.
#ifndef BFR_CORE_APP_FIGURES_H
#define BFR_CORE_APP_FIGURES_H

#include "config_in_force.h"
#include "metrics.h"

// `in_force` is read at every scrape. [main]
void bfr_app_figures_init(struct bfr_metrics *metrics, struct bfr_in_force *in_force);

#endif
