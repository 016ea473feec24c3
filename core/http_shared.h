// SPDX-License-Identifier: Apache-2.0
// What all loops of the webhook server share: settings, the ways out to auth and pipeline, the budget, the figures, and
// the flags by which the main thread steers. Written before the loops start, except for the atomics and what has a lock.
#ifndef BFR_CORE_HTTP_SHARED_H
#define BFR_CORE_HTTP_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/evp.h>

#include "config_cidr.h"
#include "http_budget.h"
#include "http_figures.h"
#include "http_peers.h"
#include "http_server.h"
#include "http_tls_context.h"
#include "http_turn.h"

struct bfr_http_shared {
    struct bfr_http_setup setup; // its settings serve the start alone; limits are the loops' rules
    struct bfr_budget *budget;
    struct bfr_peers *peers;
    _Atomic uint32_t connections_max;
    struct bfr_figures figures;
    struct bfr_tls *tls;      // NULL: no TLS on the webhook port
    struct bfr_cidr *trusted; // webhook.proxy_protocol.trusted
    size_t trusted_count;
    EVP_MD *sha256;
    atomic_uint connections;
    struct bfr_turns turns;
    _Atomic int64_t last_name_ns; // of generated names, which must differ

    atomic_bool shedding;  // end each connection after its reply
    atomic_bool closing;   // listeners go, new requests get 503
    atomic_bool finishing; // leave when nothing is in flight, or at finish_by_ns
    _Atomic uint64_t finish_by_ns;

    pthread_mutex_t lock;   // of `listening`
    pthread_cond_t steered; // it has fallen, or a loop has taken its new rules
    unsigned listening;     // loops with open listeners
};

static inline uint64_t bfr_shared_now(const struct bfr_http_shared *shared)
{
    return bfr_clock_now(shared->setup.clock);
}

#endif
