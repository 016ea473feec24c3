// SPDX-License-Identifier: Apache-2.0
// The API port: health and metrics for everybody, the rest of docs/api.md for operators. One thread of its own, so that a
// slow admin request never delays ingest, and the other way round.
#ifndef BFR_CORE_HTTP_ADMIN_H
#define BFR_CORE_HTTP_ADMIN_H

#include <openssl/types.h>

#include "config_in_force.h"
#include "metrics.h"
#include "pipe_pipeline.h"
#include "plugin_auth.h"

struct bfr_http_admin;

struct bfr_admin_setup {
    const struct bfr_settings *settings; // of the start
    struct bfr_metrics *metrics;
    struct bfr_pipeline *pipeline;
    // Every stage of the daemon in order (auth, pipeline, services), for health. [any]
    void (*stages)(void *arg, bool (*visit)(void *visit_arg, const struct bfr_stage_status *stage), void *visit_arg);
    void *stages_arg;
    const char *version;
    const struct bfr_auth *auth; // whom to ask for tenants; NULL: nobody
    // NULL: `settings` for ever, nothing is reloaded, and the configuration is not shown.
    struct bfr_in_force *in_force;
    // Read the configuration again and wait until that is done; false: the daemon is stopping. [worker]
    bool (*reload)(void *arg);
    void *reload_arg;
    struct bfr_tap *tap; // read by the admin thread; NULL: there is nothing to follow
};

BFR_MUST_CHECK uint32_t bfr_http_admin_new(const struct bfr_admin_setup *setup, struct bfr_http_admin **out,
                                           struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_http_admin_start(struct bfr_http_admin *admin, struct bfr_err *err);
uint16_t bfr_http_admin_port(const struct bfr_http_admin *admin);
// The port that has /metrics alone; 0 = there is none.
uint16_t bfr_http_admin_metrics_port(const struct bfr_http_admin *admin);
// The certificates' exchange, in two steps as with the webhook's; *out is NULL without TLS. [main]
BFR_MUST_CHECK uint32_t bfr_http_admin_prepare(struct bfr_http_admin *admin, const struct bfr_tls_settings *settings,
                                               SSL_CTX **out, struct bfr_err *err);
void bfr_http_admin_adopt(struct bfr_http_admin *admin, SSL_CTX *context);
void bfr_http_admin_abandon(SSL_CTX *context); // NULL is allowed
// As bfr_http_server_turns.
bool bfr_http_admin_turns(struct bfr_http_admin *admin);
// From now on /readyz answers 503 with this static reason ("draining").
void bfr_http_admin_unready(struct bfr_http_admin *admin, const char *reason);
void bfr_http_admin_stop(struct bfr_http_admin *admin);
void bfr_http_admin_free(struct bfr_http_admin *admin);

#endif
