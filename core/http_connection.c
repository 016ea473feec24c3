// SPDX-License-Identifier: Apache-2.0
// Bytes to gate to ingest to reply, and the deadlines of each phase. Runs on its loop. evhttp is never freed from below its
// own input callback: what must end there becomes DEAD and ends from the timer.
#include "http_connection.h"

#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "http_loop.h"
#include "http_reply.h"
#include "log.h"

// What evhttp gets to read. It holds nothing of the client's, so there is nothing evhttp could read differently.
static const char canonical_head[] = "GET / HTTP/1.1\r\n\r\n";

static const struct bfr_settings *settings_of(const struct bfr_http_connection *connection)
{
    return connection->loop->shared->setup.settings;
}

static uint64_t now_of(const struct bfr_http_connection *connection)
{
    return bfr_shared_now(connection->loop->shared);
}

#define FILLS_MAX 8 // large reads in one turn of the loop

// ---- deadlines ----

static void arm(struct bfr_http_connection *connection, uint64_t at_ns)
{
    uint64_t now = now_of(connection);
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

static void set_phase(struct bfr_http_connection *connection, enum bfr_connection_phase phase, uint64_t deadline_ns)
{
    connection->phase = phase;
    bfr_connection_deadline(connection, deadline_ns);
}

static uint64_t after_ms(const struct bfr_http_connection *connection, uint64_t ms)
{
    return now_of(connection) + ms * BFR_NS_PER_MS;
}

// ---- end ----

static void unstarve(struct bfr_http_connection *connection)
{
    if (connection->phase == BFR_CONNECTION_STARVED)
        TAILQ_REMOVE(&connection->loop->starved, connection, starved_link);
}

// Below libevent's read callback the connection must survive until it returns.
static void kill_later(struct bfr_http_connection *connection)
{
    unstarve(connection);
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
    unstarve(connection);
    bfr_loop_unregister(loop, connection);
    TAILQ_REMOVE(&loop->all, connection, link);
    atomic_fetch_sub(&loop->shared->connections, 1);
    event_del(&connection->timer);
    evbuffer_free(connection->raw);
    bfr_connection_release(connection);
    bfr_connection_settle(connection);
    free(connection);
}

// Every way out of evhttp leads here.
static void on_close(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    destroy(arg);
}

void bfr_connection_close(struct bfr_http_connection *connection)
{
    evhttp_connection_free(connection->evcon);
}

// ---- reply ----

static void log_refusal(const struct bfr_http_request *request)
{
    const struct bfr_refusal_info *info = bfr_refusal_info(request->refusal);
    uint32_t level = info->status == 429 || info->status == 503 ? BFR_LOG_WARN : BFR_LOG_INFO;
    if (!bfr_log_enabled(level))
        return;
    const char *detail = request->verdict.size > 0 ? request->verdict.text : "";
    if (request->stage == BFR_AT_ANSWER && request->answer_text != NULL)
        detail = request->answer_text;
    bfr_say(level, "http", "request refused", "status", bfr_num(info->status).text, "reason", info->label, "tenant",
            request->target.tenant, "dataset", request->target.dataset, "peer", request->peer, "detail", detail, NULL);
}

static void count_reply(struct bfr_http_connection *connection)
{
    struct bfr_http_request *request = connection->request;
    struct bfr_figures *figures = &connection->loop->shared->figures;
    if (request->refusal != BFR_REFUSE_NONE) {
        bfr_figures_reply(figures, bfr_refusal_info(request->refusal)->status, request->refusal);
        log_refusal(request);
        return;
    }
    bfr_figures_reply(figures, 200, BFR_REFUSE_NONE);
    if (request->success == BFR_SUCCESS_ACCEPTED || request->success == BFR_SUCCESS_DUPLICATE)
        bfr_figures_ack(figures, now_of(connection) - request->body_ns);
}

// The client cannot be in step with us any more, or must go: reply and end the connection.
static void reply_and_end(struct bfr_http_connection *connection)
{
    unstarve(connection);
    count_reply(connection);
    bfr_linger_start(connection);
}

// The request was read to its end: let evhttp reply, so that the connection can be kept.
static void reply_in_step(struct bfr_http_connection *connection)
{
    connection->phase = BFR_CONNECTION_DISPATCH;
    if (evbuffer_prepend(bufferevent_get_input(connection->bev), canonical_head, sizeof canonical_head - 1) != 0) {
        kill_later(connection);
        return;
    }
    if (connection->in_input)
        return; // evhttp's read callback comes next anyway
    bufferevent_trigger(connection->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS);
    if (connection->phase == BFR_CONNECTION_DISPATCH)
        kill_later(connection);
}

// Bytes behind the request that come before its reply are never served: the sender could not know whether they would be.
static bool is_followed(const struct bfr_http_connection *connection)
{
    return evbuffer_get_length(connection->raw) > 0 || bfr_reader_pending(connection);
}

// A step says REPLY. `whole`: the request's last byte was read.
static void reply(struct bfr_http_connection *connection, bool whole)
{
    if (!whole || is_followed(connection))
        reply_and_end(connection);
    else
        reply_in_step(connection);
}

static void on_replied(struct evhttp_request *from, void *arg)
{
    (void)from;
    struct bfr_http_connection *connection = arg;
    set_phase(connection, BFR_CONNECTION_IDLE, after_ms(connection, settings_of(connection)->webhook.idle_timeout_ms));
    bfr_connection_settle(connection);
}

// Write at once instead of asking epoll first: the socket is nearly always writable, and this saves a turn of the loop.
static void flush(struct bfr_http_connection *connection)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    evbuffer_unfreeze(output, 1);
    evbuffer_write(output, connection->fd);
    evbuffer_freeze(output, 1);
    if (evbuffer_get_length(output) == 0)
        bufferevent_trigger(connection->bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS | BEV_OPT_DEFER_CALLBACKS);
}

void bfr_connection_handle(struct evhttp_request *from, void *arg)
{
    struct bfr_http_loop *loop = arg;
    struct evhttp_connection *evcon = evhttp_request_get_connection(from);
    struct bfr_http_connection *connection = bfr_loop_find(loop, evhttp_connection_get_bufferevent(evcon));
    if (connection == NULL || connection->phase != BFR_CONNECTION_DISPATCH) {
        // A connection for which there was no memory to put a gate in front of it.
        evhttp_send_error(from, 503, "Service Unavailable");
        return;
    }
    struct bfr_http_request *request = connection->request;
    struct bfr_reply out;
    bfr_reply_build(request, &out);
    count_reply(connection);
    bool close = request->gate.close || atomic_load(&loop->shared->shedding) || atomic_load(&loop->shared->closing);
    bfr_connection_release(connection);
    set_phase(connection, BFR_CONNECTION_REPLY,
              after_ms(connection, settings_of(connection)->webhook.write_timeout_ms));
    evhttp_request_set_on_complete_cb(from, on_replied, connection);
    bfr_reply_send(&out, from, close);
    // evhttp turns reading on while it writes; what comes now belongs to the next request.
    bufferevent_disable(connection->bev, EV_READ);
    flush(connection);
}

// ---- request ----

// evhttp's write callback would take our 100 Continue for the end of the last reply.
static void send_continue(struct bfr_http_connection *connection)
{
    bufferevent_data_cb on_read;
    bufferevent_event_cb on_event;
    void *arg;
    bufferevent_getcb(connection->bev, &on_read, NULL, &on_event, &arg);
    bufferevent_setcb(connection->bev, on_read, NULL, on_event, arg);
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    bufferevent_write(connection->bev, text, sizeof text - 1);
    bufferevent_enable(connection->bev, EV_WRITE);
}

static void begin_body(struct bfr_http_connection *connection)
{
    const struct bfr_gate *gate = &connection->request->gate;
    if (gate->expect_continue && (gate->chunked || gate->length > 0) && evbuffer_get_length(connection->raw) == 0)
        send_continue(connection);
    connection->body_by_ns = after_ms(connection, settings_of(connection)->webhook.read_timeout_ms);
    set_phase(connection, BFR_CONNECTION_BODY, connection->body_by_ns);
}

static void starve(struct bfr_http_connection *connection)
{
    bufferevent_disable(connection->bev, EV_READ);
    if (connection->phase == BFR_CONNECTION_STARVED)
        return;
    TAILQ_INSERT_TAIL(&connection->loop->starved, connection, starved_link);
    set_phase(connection, BFR_CONNECTION_STARVED, after_ms(connection, settings_of(connection)->memory.wait_ms));
}

static void wait_for_answer(struct bfr_http_connection *connection)
{
    bufferevent_disable(connection->bev, EV_READ);
    set_phase(connection, BFR_CONNECTION_WAIT,
              connection->request->begun_ns + settings_of(connection)->ack_timeout_ms * BFR_NS_PER_MS);
}

// Do what ingest says. GO is the caller's matter.
static void obey(struct bfr_http_connection *connection, enum bfr_step step, bool whole)
{
    switch (step) {
    case BFR_STEP_GO:
        break;
    case BFR_STEP_WAIT:
        wait_for_answer(connection);
        break;
    case BFR_STEP_STARVE:
        starve(connection);
        break;
    case BFR_STEP_REPLY:
        reply(connection, whole);
        break;
    }
}

static void refuse(struct bfr_http_connection *connection, enum bfr_refusal refusal)
{
    connection->request->refusal = refusal;
    reply_and_end(connection);
}

static void begin_request(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    struct bfr_http_request *request = bfr_loop_request(loop);
    if (request == NULL) {
        kill_later(connection);
        return;
    }
    loop->active++;
    connection->in_flight = true;
    connection->request = request;
    request->connection = connection;
    request->peer = connection->peer;
    request->begun_ns = now_of(connection);
    set_phase(connection, BFR_CONNECTION_HEAD,
              request->begun_ns + settings_of(connection)->webhook.head_timeout_ms * BFR_NS_PER_MS);
}

// Feed the first stretch of raw bytes to the gate, drop what it ate.
static enum bfr_gate_event feed_gate(struct bfr_http_connection *connection)
{
    struct evbuffer_iovec first = {NULL, 0};
    size_t used = 0;
    evbuffer_peek(connection->raw, -1, NULL, &first, 1);
    if (evbuffer_get_length(connection->raw) == 0)
        first.iov_len = 0;
    enum bfr_gate_event event = bfr_gate_feed(&connection->request->gate, first.iov_base, first.iov_len, &used);
    evbuffer_drain(connection->raw, used);
    return event;
}

static bool has_raw(const struct bfr_http_connection *connection)
{
    return evbuffer_get_length(connection->raw) > 0;
}

// True: there may be more to do with what is here.
static bool read_head(struct bfr_http_connection *connection)
{
    enum bfr_gate_event event = feed_gate(connection);
    if (event == BFR_GATE_MORE)
        return has_raw(connection);
    if (event == BFR_GATE_BAD) {
        refuse(connection, connection->request->gate.refusal);
        return false;
    }
    enum bfr_step step = bfr_ingest_admit(connection->request);
    const struct bfr_gate *gate = &connection->request->gate;
    // A request without a body is in step, whatever the reply.
    bool whole = !gate->chunked && gate->length == 0;
    if (step == BFR_STEP_GO)
        begin_body(connection);
    obey(connection, step, whole);
    return step == BFR_STEP_GO;
}

static bool finish_body(struct bfr_http_connection *connection)
{
    obey(connection, bfr_ingest_finish(connection->request), true);
    return false;
}

static bool take_body(struct bfr_http_connection *connection)
{
    struct bfr_http_request *request = connection->request;
    enum bfr_step step = BFR_STEP_GO;
    if (!has_raw(connection)) {
        // Enough for one turn: others want to be served too, and epoll will call again.
        if (++connection->fills > FILLS_MAX)
            return false;
        size_t got = bfr_reader_fill(connection, &step);
        obey(connection, step, false);
        return got > 0 && step == BFR_STEP_GO;
    }
    uint64_t size = evbuffer_get_length(connection->raw);
    if (size > request->gate.body_left)
        size = request->gate.body_left;
    step = bfr_ingest_grow(request, size);
    if (step != BFR_STEP_GO) {
        obey(connection, step, false);
        return false;
    }
    enum bfr_refusal refusal = bfr_body_move(&request->body, connection->raw, (size_t)size);
    if (refusal != BFR_REFUSE_NONE) {
        refuse(connection, refusal);
        return false;
    }
    bfr_gate_take(&request->gate, size);
    return true;
}

static bool read_body(struct bfr_http_connection *connection)
{
    switch (feed_gate(connection)) {
    case BFR_GATE_BODY:
        return take_body(connection);
    case BFR_GATE_END:
        return finish_body(connection);
    case BFR_GATE_BAD:
        refuse(connection, connection->request->gate.refusal);
        return false;
    default:
        return has_raw(connection);
    }
}

// One request as far as the bytes reach.
static void work(struct bfr_http_connection *connection)
{
    bool more = true;
    connection->fills = 0;
    while (more) {
        if (connection->phase == BFR_CONNECTION_IDLE && has_raw(connection))
            begin_request(connection);
        if (connection->phase == BFR_CONNECTION_HEAD)
            more = read_head(connection);
        else if (connection->phase == BFR_CONNECTION_BODY)
            more = read_body(connection);
        else
            more = false;
    }
}

// libevent's small read. All of it is taken away here, so that evhttp's read callback, which follows, finds nothing.
static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct bfr_http_connection *connection = arg;
    if (connection->busy || info->n_added == 0 || connection->phase >= BFR_CONNECTION_DISPATCH)
        return;
    connection->busy = true;
    connection->in_input = true;
    connection->more = info->n_added >= 4096;
    if (evbuffer_add_buffer(connection->raw, input) == 0)
        work(connection);
    else
        kill_later(connection);
    connection->in_input = false;
    connection->busy = false;
}

// ---- waiting ----

// Admission or a paused body goes on, or does not.
static void go_on(struct bfr_http_connection *connection, enum bfr_step step, bool was_admitted)
{
    connection->busy = true;
    if (step == BFR_STEP_GO) {
        unstarve(connection);
        bufferevent_enable(connection->bev, EV_READ);
        connection->more = true;
        if (was_admitted)
            set_phase(connection, BFR_CONNECTION_BODY, connection->body_by_ns);
        else
            begin_body(connection);
        work(connection);
    } else {
        if (step == BFR_STEP_WAIT)
            unstarve(connection);
        obey(connection, step, false);
    }
    connection->busy = false;
}

bool bfr_connection_feed(struct bfr_http_connection *connection)
{
    bool was_admitted = connection->request->stage == BFR_AT_BODY;
    enum bfr_step step = bfr_ingest_resume(connection->request);
    if (step == BFR_STEP_STARVE)
        return false;
    go_on(connection, step, was_admitted);
    return true;
}

void bfr_connection_mail(struct bfr_http_connection *connection)
{
    bool complete = connection->request->stage == BFR_AT_ANSWER;
    enum bfr_step step = bfr_ingest_resume(connection->request);
    if (complete)
        reply(connection, true);
    else
        go_on(connection, step, false);
}

static void expire_request(struct bfr_http_connection *connection)
{
    struct bfr_http_request *request = connection->request;
    bool complete = request->stage == BFR_AT_ANSWER;
    enum bfr_step step = bfr_ingest_expire(request);
    if (step == BFR_STEP_WAIT) // its mail is on the way
        bfr_connection_deadline(connection, after_ms(connection, 1000));
    else if (complete)
        reply(connection, true);
    else
        reply_and_end(connection);
}

// A connection that sends too slowly, or nothing, is closed without a word: a 4xx would make the sender give up its batch.
static void expire(struct bfr_http_connection *connection)
{
    if (connection->phase == BFR_CONNECTION_STARVED || connection->phase == BFR_CONNECTION_WAIT)
        expire_request(connection);
    else
        bfr_connection_close(connection);
}

// ---- birth ----

// evhttp has taken the bufferevent over; descriptor, peer and evhttp's own callbacks are known now.
static void be_born(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    bufferevent_data_cb on_read = NULL;
    void *evcon = NULL;
    uint16_t port;
    bufferevent_getcb(connection->bev, &on_read, NULL, NULL, &evcon);
    bool failed = on_read == NULL; // evhttp gave up on it and cleared them
    if (!failed) {
        connection->evcon = evcon;
        connection->fd = bufferevent_getfd(connection->bev);
        evhttp_connection_get_peer(evcon, &connection->peer, &port);
        evhttp_connection_set_closecb(evcon, on_close, connection);
    }
    bufferevent_decref(connection->bev);
    if (failed) {
        destroy(connection);
        return;
    }
    if (!bfr_loop_register(loop, connection)) {
        bfr_connection_close(connection);
        return;
    }
    set_phase(connection, BFR_CONNECTION_IDLE, after_ms(connection, settings_of(connection)->webhook.idle_timeout_ms));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bfr_http_connection *connection = arg;
    if (connection->phase == BFR_CONNECTION_NEWBORN) {
        be_born(connection);
    } else if (connection->phase == BFR_CONNECTION_DEAD) {
        bfr_connection_close(connection);
    } else {
        connection->armed_ns = 0;
        if (now_of(connection) < connection->deadline_ns)
            arm(connection, connection->deadline_ns);
        else
            expire(connection);
    }
}

struct bufferevent *bfr_connection_accept(struct event_base *base, void *arg)
{
    struct bfr_http_loop *loop = arg;
    struct bfr_http_connection *connection = calloc(1, sizeof *connection);
    struct evbuffer *raw = evbuffer_new();
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (connection == NULL || raw == NULL || bev == NULL)
        goto out;
    if (evbuffer_add_cb(bufferevent_get_input(bev), on_input, connection) == NULL)
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
    if (atomic_fetch_add(&loop->shared->connections, 1) + 1 >= settings_of(connection)->webhook.max_connections)
        bfr_listeners_pause(&loop->listeners, "webhook.max_connections is reached");
    return bev;
out:
    // evhttp goes on with a plain connection then; the handler refuses what comes on it.
    if (bev != NULL)
        bufferevent_free(bev);
    if (raw != NULL)
        evbuffer_free(raw);
    free(connection);
    return NULL;
}
