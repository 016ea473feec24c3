// SPDX-License-Identifier: Apache-2.0
// The API port: health and metrics for everybody, the rest of docs/api.md for operators. One thread of its own, so that a
// slow admin request never delays ingest, and the other way round.
#ifndef BFR_CORE_HTTP_ADMIN_H
#define BFR_CORE_HTTP_ADMIN_H

#include "config_load.h"
#include "metrics.h"
#include "pipe_pipeline.h"
#include "plugin_auth.h"

struct bfr_http_admin;

struct bfr_admin_setup {
    const struct bfr_settings *settings;
    struct bfr_metrics *metrics;
    struct bfr_pipeline *pipeline;
    // Every stage of the daemon in order (auth, pipeline, services), for health. [any]
    void (*stages)(void *arg, bool (*visit)(void *visit_arg, const struct bfr_stage_status *stage), void *visit_arg);
    void *stages_arg;
    const char *version;
    const struct bfr_auth *auth;     // whom to ask for tenants; NULL: nobody
    const struct bfr_config *config; // in effect; its stages are bound
    uint64_t max_payload_bytes;      // largest body that is taken
};

BFR_MUST_CHECK uint32_t bfr_http_admin_new(const struct bfr_admin_setup *setup, struct bfr_http_admin **out,
                                           struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_http_admin_start(struct bfr_http_admin *admin, struct bfr_err *err);
uint16_t bfr_http_admin_port(const struct bfr_http_admin *admin);
// The port that has /metrics alone; 0 = there is none.
uint16_t bfr_http_admin_metrics_port(const struct bfr_http_admin *admin);
// Read certificate and key again. After a failure the old ones stay. [main]
BFR_MUST_CHECK uint32_t bfr_http_admin_reload(struct bfr_http_admin *admin, struct bfr_err *err);
// From now on /readyz answers 503 with this static reason ("draining").
void bfr_http_admin_unready(struct bfr_http_admin *admin, const char *reason);
void bfr_http_admin_stop(struct bfr_http_admin *admin);
void bfr_http_admin_free(struct bfr_http_admin *admin);

#endif
