// SPDX-License-Identifier: Apache-2.0
// The daemon's own metrics: the build, and the configuration in effect. Written by the main thread or by whoever reloads,
// one at a time; read at scrape.
#ifndef BFR_CORE_APP_FIGURES_H
#define BFR_CORE_APP_FIGURES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "metrics.h"

struct bfr_app_figures {
    _Atomic uint64_t generation; // 1: as started
    _Atomic int64_t reloaded_ns; // Unix time of the last one that took effect, the start counted
    atomic_bool reload_failed;   // the last attempt
    _Atomic uint64_t reload_failures;
};

// Generation 1, now; `figures` is read at every scrape. [main]
void bfr_app_figures_init(struct bfr_app_figures *figures, struct bfr_metrics *metrics);

// A reload took effect and made `generation`, or changed nothing because of an error. [any]
void bfr_app_figures_reloaded(struct bfr_app_figures *figures, uint64_t generation);
void bfr_app_figures_reload_failed(struct bfr_app_figures *figures);

#endif
