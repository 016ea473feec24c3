// SPDX-License-Identifier: Apache-2.0
// The daemon's pulse for its supervisor: as long as every loop turns, and for as long as a stop may take, it is told so.
#ifndef BFR_CORE_APP_PULSE_H
#define BFR_CORE_APP_PULSE_H

#include "app_notify.h"
#include "config_in_force.h"
#include "http_admin.h"
#include "http_server.h"
#include "pipe_pipeline.h"

struct bfr_pulse;

struct bfr_pulse_setup {
    struct bfr_notify *notify;
    struct bfr_in_force *in_force;
    struct bfr_pipeline *pipeline;
    struct bfr_http_server *http;
    struct bfr_http_admin *admin;
    // Every stage, for what is wrong with one. [any]
    void (*stages)(void *arg, bool (*visit)(void *visit_arg, const struct bfr_stage_status *stage), void *visit_arg);
    void *stages_arg;
};

// Starts a thread, unless nobody listens: then *out is NULL and all is well. [main]
BFR_MUST_CHECK uint32_t bfr_pulse_start(const struct bfr_pulse_setup *setup, struct bfr_pulse **out,
                                        struct bfr_err *err);
// The loops are about to end, and are not looked at any more when this returns. Whether the stop gets on is watched by the main
// loop's own limit. [main]
void bfr_pulse_stopping(struct bfr_pulse *pulse);
void bfr_pulse_free(struct bfr_pulse *pulse); // ends the thread; NULL is allowed

#endif
