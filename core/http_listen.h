// SPDX-License-Identifier: Apache-2.0
// The listeners of the webhook: one per address and loop, sharing the port with SO_REUSEPORT, or inherited ones.
#ifndef BFR_CORE_HTTP_LISTEN_H
#define BFR_CORE_HTTP_LISTEN_H

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <bfr/status.h>

#include "http_shared.h"

// The listeners of one loop.
struct bfr_listeners {
    struct evhttp *http;
    struct evhttp_bound_socket **bound;
    size_t count;
    struct event *pause; // enables them again
    bool paused;
    bool inherited; // somebody else holds the sockets too
    const struct bfr_http_shared *shared;
};

// [main]
BFR_MUST_CHECK uint32_t bfr_listeners_init(struct bfr_listeners *listeners, struct evhttp *http,
                                           struct event_base *base, const struct bfr_http_shared *shared, size_t room,
                                           struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_listeners_add(struct bfr_listeners *listeners, const char *address, uint16_t port,
                                          struct bfr_err *err);
// The same with socket `index` of those handed over for the webhook, which all loops share: each has a descriptor of its own
// and is woken for every connection; who comes too late finds none.
BFR_MUST_CHECK uint32_t bfr_listeners_inherit(struct bfr_listeners *listeners, size_t index, uint16_t *out_port,
                                              struct bfr_err *err);
void bfr_listeners_fini(struct bfr_listeners *listeners);

// Once at the start of the loop's thread. [loop]
void bfr_listeners_adopt(struct bfr_listeners *listeners);

// Do not accept for a moment: descriptors or connections have run out. [loop]
void bfr_listeners_pause(struct bfr_listeners *listeners, const char *why);

// Close those whose accept queue is empty, or all with `force`; true when all are closed. Closing a listener resets what is
// queued on it. [loop]
bool bfr_listeners_close(struct bfr_listeners *listeners, bool force);

#endif
