// SPDX-License-Identifier: Apache-2.0
// One loop of the webhook server: a thread with an event base, an evhttp, its listeners and its connections. Other threads
// reach it through its mailbox only.
#ifndef BFR_CORE_HTTP_LOOP_H
#define BFR_CORE_HTTP_LOOP_H

#include <pthread.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/http.h>

#include "http_connection.h"
#include "http_listen.h"
#include "http_request.h"
#include "http_rules.h"

// What one read takes at most where it is not known yet what comes: a head and a small body.
#define BFR_LOOP_SCRATCH ((size_t)16 * 1024)

struct bfr_http_loop {
    struct bfr_http_shared *shared;
    struct event_base *base;
    struct evhttp *http;
    struct bfr_mailbox mailbox;
    struct event *on_mail;
    struct event *on_steer; // looks again at what the main thread wants
    struct bfr_listeners listeners;
    pthread_t thread;
    bool running; // the thread was started
    struct bfr_turn turn;

    struct bfr_connections all;
    struct event *on_hunger;         // feeds the two lists below now and then
    struct bfr_connections starved;  // bodies paused for memory, in the order in which they began to wait
    struct bfr_connections knocking; // requests not admitted yet for want of memory, in the same order

    struct bfr_rules *rules;              // in force on this loop
    _Atomic(struct bfr_rules *) incoming; // to be taken at the next mail; NULL: none
    atomic_bool turned;                   // has looked at its mail since somebody wanted to know

    struct bfr_http_request *spare; // requests to be used again
    unsigned spare_count;
    unsigned active;      // requests between their first byte and the last byte of their reply
    unsigned orphans;     // requests without a connection whose answer is still on its way
    bool deaf;            // its listeners are closed, and the main thread knows
    uint64_t close_by_ns; // when listeners are closed whatever is queued on them
    uint32_t cut_off;     // requests that finishing ended without a reply

    uint8_t scratch[BFR_LOOP_SCRATCH]; // bytes just read, until the callback returns
};

// Everything but the thread. `rules` are owned from now on. On failure nothing is left. [main]
BFR_MUST_CHECK uint32_t bfr_loop_init(struct bfr_http_loop *loop, struct bfr_http_shared *shared,
                                      struct bfr_rules *rules, struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_loop_start(struct bfr_http_loop *loop, unsigned index, struct bfr_err *err);
void bfr_loop_join(struct bfr_http_loop *loop);
void bfr_loop_fini(struct bfr_http_loop *loop);

// From its next turn on the loop judges new requests by `rules`; returns what was on its way to it and never taken. [main]
struct bfr_rules *bfr_loop_change(struct bfr_http_loop *loop, struct bfr_rules *rules);

// [loop]
struct bfr_http_request *bfr_loop_request(struct bfr_http_loop *loop); // NULL when memory is short
void bfr_loop_recycle(struct bfr_http_loop *loop, struct bfr_http_request *request);
void bfr_loop_hungry(struct bfr_http_loop *loop);  // somebody waits for memory
void bfr_loop_settled(struct bfr_http_loop *loop); // a request has ended

#endif
