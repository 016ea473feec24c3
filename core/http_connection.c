// SPDX-License-Identifier: Apache-2.0
// Birth, deadlines and end of a connection. Runs on its loop. Nothing is freed from within an exchange: what must end there
// becomes DEAD and ends from the timer.
#include "http_connection.h"

#include <stdlib.h>

#include <event2/util.h>

#include "bug.h"
#include "http_exchange.h"
#include "http_front.h"
#include "http_loop.h"
#include "http_tls.h"

// ---- deadlines ----

static void arm(struct bfr_http_connection *connection, uint64_t at_ns)
{
    uint64_t now = bfr_shared_now(connection->loop->shared);
    uint64_t wait_us = at_ns > now ? (at_ns - now) / 1000 + 1 : 0;
    struct timeval wait = {(time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000)};
    connection->armed_ns = at_ns;
    event_add(&connection->timer, &wait);
}

// The timer is left alone while it fires early enough: it then looks again. So a busy connection, whose deadline moves
// several times per request, touches the timer heap once in many requests.
void bfr_connection_deadline(struct bfr_http_connection *connection, uint64_t deadline_ns)
{
    connection->deadline_ns = deadline_ns;
    if (connection->armed_ns == 0 || deadline_ns < connection->armed_ns)
        arm(connection, deadline_ns);
}

void bfr_connection_enter(struct bfr_http_connection *connection, enum bfr_connection_phase phase, uint64_t deadline_ns)
{
    connection->phase = phase;
    bfr_connection_deadline(connection, deadline_ns);
}

uint64_t bfr_connection_in_ms(const struct bfr_http_connection *connection, uint64_t ms)
{
    return bfr_shared_now(connection->loop->shared) + ms * BFR_NS_PER_MS;
}

void bfr_connection_rest(struct bfr_http_connection *connection)
{
    bfr_connection_enter(connection, BFR_CONNECTION_IDLE,
                         bfr_connection_in_ms(connection, connection->loop->rules->idle_timeout_ms));
}

// Asked for at a reply only: to close a connection between requests is to race with the next one, whose sender cannot know
// whether it was served.
bool bfr_connection_is_old(const struct bfr_http_connection *connection)
{
    return connection->retire_ns != UINT64_MAX && bfr_shared_now(connection->loop->shared) >= connection->retire_ns;
}

#define RATE_FREE_NS (5 * BFR_NS_PER_S) // no rate is asked of a body before

// When the bytes that came will be too few, at the least rate that is asked.
static uint64_t too_slow_at(const struct bfr_http_connection *connection)
{
    uint64_t rate = connection->request->rules->min_body_rate;
    if (rate == 0)
        return UINT64_MAX;
    double seconds = (double)connection->request->body.source_bytes / (double)rate;
    uint64_t paid_ns = seconds < 1e9 ? (uint64_t)(seconds * (double)BFR_NS_PER_S) : UINT64_MAX / 2;
    return connection->body_ns + (paid_ns > RATE_FREE_NS ? paid_ns : RATE_FREE_NS);
}

void bfr_connection_await_body(struct bfr_http_connection *connection)
{
    uint64_t slow_ns = too_slow_at(connection);
    bfr_connection_enter(connection, BFR_CONNECTION_BODY,
                         slow_ns < connection->body_by_ns ? slow_ns : connection->body_by_ns);
}

// The deadline has come, but bytes have come too since it was set: another one.
static bool is_fast_enough(struct bfr_http_connection *connection)
{
    uint64_t now = bfr_shared_now(connection->loop->shared);
    if (connection->phase != BFR_CONNECTION_BODY || now >= connection->body_by_ns || now >= too_slow_at(connection))
        return false;
    bfr_connection_await_body(connection);
    return true;
}

// ---- end ----

void bfr_connection_starve(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    if (connection->starved_on != NULL)
        return;
    connection->starved_on = connection->request->stage == BFR_AT_BODY ? &loop->starved : &loop->knocking;
    TAILQ_INSERT_TAIL(connection->starved_on, connection, starved_link);
    bfr_budget_queue(loop->shared->budget, 1);
    connection->request->waited = true;
    connection->paused_ns = bfr_shared_now(loop->shared);
    bfr_connection_enter(connection, BFR_CONNECTION_STARVED,
                         connection->paused_ns + connection->request->rules->memory_wait_ms * BFR_NS_PER_MS);
    bfr_loop_hungry(loop);
}

void bfr_connection_unstarve(struct bfr_http_connection *connection)
{
    if (connection->starved_on == NULL)
        return;
    TAILQ_REMOVE(connection->starved_on, connection, starved_link);
    connection->starved_on = NULL;
    bfr_budget_queue(connection->loop->shared->budget, -1);
    if (connection->request != NULL)
        connection->request->waited = false;
}

void bfr_connection_kill(struct bfr_http_connection *connection)
{
    bfr_connection_unstarve(connection);
    connection->phase = BFR_CONNECTION_DEAD;
    event_active(&connection->timer, EV_TIMEOUT, 0);
}

void bfr_connection_release(struct bfr_http_connection *connection)
{
    struct bfr_http_request *request = connection->request;
    struct bfr_http_loop *loop = connection->loop;
    if (request == NULL)
        return;
    connection->request = NULL;
    request->connection = NULL;
    request->peer = NULL;
    if (bfr_ingest_leave(request))
        bfr_loop_recycle(loop, request);
    else
        loop->orphans++;
}

void bfr_connection_settle(struct bfr_http_connection *connection)
{
    if (!connection->in_flight)
        return;
    connection->in_flight = false;
    connection->loop->active--;
    bfr_loop_settled(connection->loop);
}

static void destroy(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    bfr_connection_unstarve(connection);
    TAILQ_REMOVE(&loop->all, connection, link);
    if (!connection->surplus)
        atomic_fetch_sub(&loop->shared->connections, 1);
    bfr_peers_leave(loop->shared->peers, connection->counted);
    event_del(&connection->timer);
    bfr_reader_end(connection);
    evbuffer_free(connection->raw);
    if (connection->wire != NULL)
        evbuffer_free(connection->wire);
    bfr_tls_end(connection);
    bfr_connection_release(connection);
    bfr_connection_settle(connection);
    free(connection);
}

// evhttp frees it, because we say so or with itself.
static void on_close(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    destroy(arg);
}

void bfr_connection_close(struct bfr_http_connection *connection)
{
    if (connection->ssl != NULL)
        bfr_tls_farewell(connection);
    evhttp_connection_free(connection->evcon);
}

static enum bfr_close close_reason(const struct bfr_http_connection *connection)
{
    switch (connection->phase) {
    case BFR_CONNECTION_HEAD:
        return BFR_CLOSE_HEAD;
    case BFR_CONNECTION_BODY:
        return bfr_shared_now(connection->loop->shared) >= connection->body_by_ns ? BFR_CLOSE_BODY : BFR_CLOSE_RATE;
    case BFR_CONNECTION_GREETING:
        return connection->front == BFR_FRONT_HEADER ? BFR_CLOSE_PROXY_MISSING
               : connection->ssl != NULL             ? BFR_CLOSE_HANDSHAKE
                                                     : BFR_CLOSE_IDLE;
    case BFR_CONNECTION_IDLE:
        return BFR_CLOSE_IDLE;
    default:
        return BFR_CLOSE_REPLY;
    }
}

// The reply that ends it is out, and why is counted already; only the client's own end was waited for.
static bool has_last_words(const struct bfr_http_connection *connection)
{
    return connection->phase == BFR_CONNECTION_LINGER &&
           evbuffer_get_length(bufferevent_get_output(connection->bev)) == 0;
}

// A connection that sends too slowly, or nothing, is closed without a word: a 4xx would make the sender give up its batch.
static void expire(struct bfr_http_connection *connection)
{
    if (connection->phase == BFR_CONNECTION_STARVED || connection->phase == BFR_CONNECTION_WAIT) {
        bfr_exchange_expire(connection);
    } else if (!is_fast_enough(connection)) {
        if (!has_last_words(connection))
            bfr_figures_close(&connection->loop->shared->figures, close_reason(connection));
        bfr_connection_close(connection);
    }
}

// ---- birth ----

// Ten percent more or less, so that connections made at one time do not all come again at one time.
static uint64_t retire_at(const struct bfr_http_loop *loop)
{
    uint64_t age_ns = loop->rules->max_connection_age_ms * BFR_NS_PER_MS;
    if (age_ns == 0)
        return UINT64_MAX;
    uint16_t random;
    evutil_secure_rng_get_bytes(&random, sizeof random);
    return bfr_shared_now(loop->shared) + age_ns / 10 * 9 + age_ns / 5 * random / UINT16_MAX;
}

bool bfr_connection_count(struct bfr_http_connection *connection, const char *address)
{
    bfr_must(connection->counted == NULL);
    return bfr_peers_enter(connection->loop->shared->peers, address, &connection->counted);
}

// Where no header and no handshake is due, a client may take its time to begin.
static void await_greeting(struct bfr_http_connection *connection)
{
    bfr_connection_rest(connection);
    if (connection->wire == NULL)
        return;
    connection->phase = BFR_CONNECTION_GREETING;
    if (connection->front == BFR_FRONT_HEADER || connection->ssl != NULL)
        bfr_connection_deadline(connection, bfr_connection_in_ms(connection, connection->loop->rules->head_timeout_ms));
}

// evhttp has taken the bufferevent over; descriptor, peer and evhttp's own callbacks are known now.
static void be_born(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    bufferevent_data_cb on_read = NULL;
    void *evcon = NULL;
    bufferevent_getcb(connection->bev, &on_read, NULL, NULL, &evcon);
    bool failed = on_read == NULL; // evhttp gave up on it and cleared them
    bool gone = false;             // it was reset before it was accepted, and nobody can tell any more whose it was
    if (!failed) {
        connection->evcon = evcon;
        connection->fd = bufferevent_getfd(connection->bev);
        gone = !bfr_peer_of_socket(connection->fd, &connection->peer);
        evhttp_connection_set_closecb(evcon, on_close, connection);
        bufferevent_setcb(connection->bev, NULL, bfr_exchange_written, bfr_exchange_event, connection);
    }
    bufferevent_decref(connection->bev);
    if (failed) {
        destroy(connection);
        return;
    }
    if (gone || !bfr_front_begin(connection) || !bfr_reader_begin(connection)) {
        bfr_connection_close(connection);
        return;
    }
    connection->retire_ns = retire_at(loop);
    // Behind a balancer the client's address counts, which its header tells.
    bool direct = connection->front != BFR_FRONT_HEADER;
    if (connection->surplus || (direct && !bfr_connection_count(connection, connection->peer.text))) {
        bfr_figures_close(&loop->shared->figures, connection->surplus ? BFR_CLOSE_SURPLUS : BFR_CLOSE_ADDRESS);
        bfr_connection_close(connection);
        return;
    }
    await_greeting(connection);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bfr_http_connection *connection = arg;
    bfr_turn_enter(&connection->loop->turn);
    if (connection->phase == BFR_CONNECTION_NEWBORN) {
        be_born(connection);
    } else if (connection->phase == BFR_CONNECTION_DEAD) {
        bfr_connection_close(connection);
    } else {
        connection->armed_ns = 0;
        if (bfr_shared_now(connection->loop->shared) < connection->deadline_ns)
            arm(connection, connection->deadline_ns);
        else
            expire(connection);
    }
}

// Loops accept without asking each other, so one of them may be too late.
static bool take_place(struct bfr_http_shared *shared)
{
    if (atomic_fetch_add(&shared->connections, 1) < shared->connections_max)
        return true;
    atomic_fetch_sub(&shared->connections, 1);
    return false;
}

struct bufferevent *bfr_connection_accept(struct event_base *base, void *arg)
{
    struct bfr_http_loop *loop = arg;
    bfr_turn_enter(&loop->turn);
    struct bfr_http_connection *connection = calloc(1, sizeof *connection);
    struct evbuffer *raw = evbuffer_new();
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (connection == NULL || raw == NULL || bev == NULL)
        goto out;
    connection->loop = loop;
    connection->bev = bev;
    connection->fd = -1;
    connection->raw = raw;
    connection->phase = BFR_CONNECTION_NEWBORN;
    TAILQ_INSERT_TAIL(&loop->all, connection, link);
    evtimer_assign(&connection->timer, base, on_timer, connection);
    bufferevent_incref(bev); // until be_born, in case evhttp frees it at once
    event_active(&connection->timer, EV_TIMEOUT, 0);
    connection->surplus = !take_place(loop->shared);
    if (atomic_load(&loop->shared->connections) >= loop->shared->connections_max)
        bfr_listeners_pause(&loop->listeners, "webhook.max_connections is reached");
    return bev;
out:
    // evhttp goes on with a plain connection then; the loop's handler refuses what comes on it.
    if (bev != NULL)
        bufferevent_free(bev);
    if (raw != NULL)
        evbuffer_free(raw);
    free(connection);
    return NULL;
}
