// SPDX-License-Identifier: Apache-2.0
// One connection: the gate bound to a bufferevent that evhttp has accepted and will free, and that is ours in between:
// evhttp neither reads nor writes a byte of it. See docs/gate.md.
#ifndef BFR_CORE_HTTP_CONNECTION_H
#define BFR_CORE_HTTP_CONNECTION_H

#include <sys/queue.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>

#include <openssl/ssl.h>

#include "http_ingest.h"
#include "http_peer.h"

struct bfr_http_loop;

TAILQ_HEAD(bfr_connections, bfr_http_connection);

enum bfr_connection_phase {
    BFR_CONNECTION_NEWBORN = 1, // not known to evhttp yet
    BFR_CONNECTION_GREETING,    // a PROXY header or a TLS handshake is arriving
    BFR_CONNECTION_IDLE,        // between requests
    BFR_CONNECTION_HEAD,        // a head is arriving
    BFR_CONNECTION_BODY,        // a body is arriving
    BFR_CONNECTION_STARVED,     // waits for memory; reads nothing
    BFR_CONNECTION_WAIT,        // waits for auth or pipeline; reads nothing
    BFR_CONNECTION_REPLY,       // the reply is on its way out; reads nothing
    BFR_CONNECTION_LINGER,      // last reply; then only draining (http_linger.c)
    BFR_CONNECTION_DEAD         // to be freed from its timer
};

// What has to come, or must not come, before anything else.
enum bfr_front {
    BFR_FRONT_NONE = 1,
    BFR_FRONT_HEADER, // a PROXY header must
    BFR_FRONT_SNIFF   // one must not
};

struct bfr_http_connection {
    TAILQ_ENTRY(bfr_http_connection) link;
    TAILQ_ENTRY(bfr_http_connection) starved_link;
    struct bfr_connections *starved_on; // the loop's list on which it waits for memory, or NULL
    struct bfr_http_loop *loop;
    struct bufferevent *bev;
    struct evhttp_connection *evcon;
    int fd;
    struct bfr_traffic_row *traffic; // of the last request, for its figures
    struct bfr_peer peer;            // the client; known when the connection is IDLE for the first time

    // http_front.c; without PROXY protocol and TLS `wire` is NULL and bytes go to `raw` directly.
    enum bfr_front front;
    SSL *ssl;              // NULL: no TLS
    struct evbuffer *wire; // bytes as the socket gave them
    bool spoke_tls;        // a first byte was seen, and it was TLS's
    bool ended;            // the client has said, within TLS, that it sends no more

    enum bfr_connection_phase phase;
    bool last;            // in REPLY: end the connection behind it
    bool more;            // the last read was filled: the kernel may hold more bytes
    bool greedy;          // the last read of the body was filled: it comes fast
    bool deaf;            // `reading` is off
    bool in_flight;       // counted in loop->active
    int fills;            // reads in this turn
    struct evbuffer *raw; // bytes not looked at yet

    struct event reading;
    struct event timer;
    uint64_t deadline_ns;     // of the present phase
    uint64_t armed_ns;        // when the timer will fire, at or before the deadline; 0 = not armed
    uint64_t body_by_ns;      // of the body
    uint64_t body_ns;         // when the body began, moved on by the time for which it was paused
    uint64_t paused_ns;       // since when it is STARVED
    uint64_t retire_ns;       // webhook.max_connection_age, with its jitter; UINT64_MAX = never
    struct bfr_peer *counted; // in the connections of its address
    bool surplus;             // one too many: another loop was faster
    uint64_t linger_left;     // bytes it may still send in LINGER
    uint64_t linger_by_ns;    // and until when at most

    struct bfr_http_request *request;
};

// evhttp's bevcb; `arg` is the loop.
struct bufferevent *bfr_connection_accept(struct event_base *base, void *arg);

// Count it among the connections of `address`, once. False: there are too many; it is to be closed.
bool bfr_connection_count(struct bfr_http_connection *connection, const char *address);

// Free it, and with it the request, whatever their state. Not from within an exchange.
void bfr_connection_close(struct bfr_http_connection *connection);

// The same, later: within an exchange the connection must survive until it returns.
void bfr_connection_kill(struct bfr_http_connection *connection);

// Between requests.
void bfr_connection_rest(struct bfr_http_connection *connection);
// A body begins, or goes on after a pause.
void bfr_connection_await_body(struct bfr_http_connection *connection);
bool bfr_connection_is_old(const struct bfr_http_connection *connection);
void bfr_connection_enter(struct bfr_http_connection *connection, enum bfr_connection_phase phase,
                          uint64_t deadline_ns);
void bfr_connection_deadline(struct bfr_http_connection *connection, uint64_t deadline_ns); // in the same phase
uint64_t bfr_connection_in_ms(const struct bfr_http_connection *connection, uint64_t ms);   // so long from now
void bfr_connection_starve(struct bfr_http_connection *connection);   // pause until the loop feeds it
void bfr_connection_unstarve(struct bfr_http_connection *connection); // leave the list of those that wait for memory
void bfr_connection_release(struct bfr_http_connection *connection);  // its request is decided: give back what it held
void bfr_connection_settle(struct bfr_http_connection *connection);   // its reply is out

// http_linger.c: end a connection so that the client sees the reply. A reply must be decided.
void bfr_linger_start(struct bfr_http_connection *connection);
// The same with the last words in the output already, as they are to be sent.
void bfr_linger_out(struct bfr_http_connection *connection);
// LINGER, and something came.
void bfr_linger_read(struct bfr_http_connection *connection);

// http_reader.c: when the socket is read, and into what.
bool bfr_reader_begin(struct bfr_http_connection *connection); // the descriptor is known
void bfr_reader_end(struct bfr_http_connection *connection);   // harmless before begin
// Reading goes on. It was not turned off but when something came that could not be read.
void bfr_reader_listen(struct bfr_http_connection *connection);
void bfr_reader_pause(struct bfr_http_connection *connection);
// One read into the bytes not looked at yet. False: nothing came, or the connection is at its end.
bool bfr_reader_fetch(struct bfr_http_connection *connection);
// In BODY: one read, straight into the body where it is kept as it comes. False also when the step is not GO.
bool bfr_reader_fill(struct bfr_http_connection *connection, enum bfr_step *out_step);
// Did bytes come that nobody has read? `at_once`: since the last read, epoll had no chance to tell.
bool bfr_reader_pending(const struct bfr_http_connection *connection, bool at_once);

#endif
