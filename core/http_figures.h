// SPDX-License-Identifier: Apache-2.0
// The edge's metrics: requests_total{code}, refused_total{reason}, ack_duration_seconds, connections,
// connections_closed_total{reason}, memory_used_bytes, loop_blocked_seconds, loop_busy_seconds.
// Series are looked up once, so that an update on a loop is lock-free.
#ifndef BFR_CORE_HTTP_FIGURES_H
#define BFR_CORE_HTTP_FIGURES_H

#include <stdbool.h>

#include "http_refusal.h"
#include "metrics.h"

#define BFR_FIGURES_CODES 16

struct bfr_http_request;
struct bfr_http_shared;
struct bfr_traffic_row;

// Why we ended a connection.
enum bfr_close {
    BFR_CLOSE_HEAD,            // the head took too long
    BFR_CLOSE_BODY,            // the body took too long
    BFR_CLOSE_RATE,            // the body came too slowly
    BFR_CLOSE_REPLY,           // the reply was not taken
    BFR_CLOSE_IDLE,            // nothing came
    BFR_CLOSE_AGE,             // old enough, behind its reply
    BFR_CLOSE_ADDRESS,         // its address has too many
    BFR_CLOSE_SURPLUS,         // there are too many
    BFR_CLOSE_PROXY_MISSING,   // a trusted balancer did not send a PROXY header, or a wrong one
    BFR_CLOSE_PROXY_UNTRUSTED, // somebody else did
    BFR_CLOSE_PLAIN_HTTP,      // no TLS where TLS is spoken
    BFR_CLOSE_HANDSHAKE,       // TLS failed, or took too long
    BFR_CLOSE_COUNT
};

struct bfr_figures {
    struct {
        uint16_t status;
        struct bfr_series *series;
    } requests[BFR_FIGURES_CODES];
    struct bfr_series *refused[BFR_REFUSE_COUNT];
    struct bfr_series *closed[BFR_CLOSE_COUNT];
    struct bfr_series *ack_duration;
};

// Registers; `shared` is read at every scrape. False when memory is short or a name clashes. [main]
bool bfr_figures_init(struct bfr_figures *figures, struct bfr_metrics *metrics, struct bfr_http_shared *shared);

void bfr_figures_reply(struct bfr_figures *figures, uint16_t status, enum bfr_refusal refusal); // [loop]
// The same request, for its tenant and dataset. [loop]
void bfr_figures_traffic(const struct bfr_http_request *request, uint64_t now_ns, struct bfr_traffic_row **hint);
void bfr_figures_close(struct bfr_figures *figures, enum bfr_close reason); // [loop]
void bfr_figures_ack(struct bfr_figures *figures, uint64_t duration_ns);    // [loop]

#endif
