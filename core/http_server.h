// SPDX-License-Identifier: Apache-2.0
// The webhook edge: N loop threads, each with an event base, an evhttp and its own listeners (SO_REUSEPORT). Batches go
// to the pipeline's intake; nothing here knows of sinks or queues.
#ifndef BFR_CORE_HTTP_SERVER_H
#define BFR_CORE_HTTP_SERVER_H

#include "clock.h"
#include "config_settings.h"
#include "metrics.h"
#include "pipe_pipeline.h"
#include "plugin_auth.h"

struct bfr_http_server;

struct bfr_http_setup {
    const struct bfr_settings *settings; // those of the start; read by new and start alone
    uint64_t max_payload_bytes;          // the effective limit
    const struct bfr_clock *clock;
    struct bfr_metrics *metrics;
    struct bfr_pipeline *pipeline;
    struct bfr_auth *auth;
    struct bfr_traffic *traffic; // NULL: not kept; outlives the server
    struct bfr_budget *budget;   // shared with who else has bodies in RAM; NULL: the server's own
    struct bfr_tap *tap;         // duplicates are told there; NULL: to nobody
};

// Bind every address. A port in use is found here, also one that another process shares with SO_REUSEPORT. [main]
BFR_MUST_CHECK uint32_t bfr_http_server_new(const struct bfr_http_setup *setup, struct bfr_http_server **out,
                                            struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_http_server_start(struct bfr_http_server *server, struct bfr_err *err);
// The port of the first listener (for webhook.port 0).
uint16_t bfr_http_server_port(const struct bfr_http_server *server);

// A change of limits, quotas and certificates in two steps: whatever can fail is done in the first, which changes nothing.
// Then either adopt, after which every loop judges new requests by them, or abandon. [main]
struct bfr_http_change;
BFR_MUST_CHECK uint32_t bfr_http_server_prepare(struct bfr_http_server *server, const struct bfr_settings *settings,
                                                uint64_t max_payload_bytes, struct bfr_http_change **out,
                                                struct bfr_err *err);
void bfr_http_server_adopt(struct bfr_http_server *server, struct bfr_http_change *change);
void bfr_http_server_abandon(struct bfr_http_change *change); // NULL is allowed
// Has every loop turned since the last call, which asked it to? Asks again. Between start and stop; one thread at a time.
bool bfr_http_server_turns(struct bfr_http_server *server);
// Still serve everything, but end each connection after its reply.
void bfr_http_server_shed(struct bfr_http_server *server);
// Empty the accept queues, close the listeners; a new request on an open connection gets 503 and close.
void bfr_http_server_close(struct bfr_http_server *server);
// Wait until no request is in flight or the deadline; then join the loops. Requests still waiting for their ack level are
// answered by the pipeline's progress, so the pipeline must still run. Returns the requests cut off. [main]
uint32_t bfr_http_server_stop(struct bfr_http_server *server, uint64_t deadline_ns);
void bfr_http_server_free(struct bfr_http_server *server);

#endif
