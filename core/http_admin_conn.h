// SPDX-License-Identifier: Apache-2.0
// The connections of the API port: how many there may be, and how long each may take. evhttp has no limit for the
// number, and its timeouts start anew with every byte.
#ifndef BFR_CORE_HTTP_ADMIN_CONN_H
#define BFR_CORE_HTTP_ADMIN_CONN_H

#include <stdint.h>

struct event_base;
struct evhttp;
struct evhttp_connection;
struct evconnlistener;
struct bfr_tls;
struct bfr_series;

struct bfr_admin_conns;

// At most `limit` connections at once: while there are so many, no more are accepted; they wait in the kernel's queue. A
// connection is closed `lifetime_ms` after it was accepted or after its last request, whatever it is doing then. `base`,
// `http` and `tls` (NULL: plain HTTP) are borrowed; `failed` (NULL without TLS) counts handshakes that did not succeed. NULL when memory is short. All calls are made on the thread that runs `base`, or before it.
struct bfr_admin_conns *bfr_admin_conns_new(struct event_base *base, struct evhttp *http, uint32_t limit,
                                            uint32_t lifetime_ms, struct bfr_tls *tls, struct bfr_series *failed);
// Before evhttp_free, which frees the listeners first and then ends the connections: touch no listener any more.
void bfr_admin_conns_close(struct bfr_admin_conns *conns);
// After evhttp_free. NULL is allowed.
void bfr_admin_conns_free(struct bfr_admin_conns *conns);

// A listener that was given to `http` is to be held back when the limit is reached, or descriptors run out. Not 0: there
// are too many listeners.
int bfr_admin_conns_listener(struct bfr_admin_conns *conns, struct evconnlistener *listener);

// This connection has sent a request: its time begins anew.
void bfr_admin_conns_renew(struct bfr_admin_conns *conns, struct evhttp_connection *connection);

// Its request is being worked on: it has all the time until it is renewed. evhttp does not read it meanwhile, so whether
// the client is still there shows when the reply is sent.
void bfr_admin_conns_hold(struct bfr_admin_conns *conns, struct evhttp_connection *connection);

#endif
