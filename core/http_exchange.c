// SPDX-License-Identifier: Apache-2.0
// Bytes to gate to admission to body to reply: what happens on a connection, phase by phase. Runs on its loop. Nothing here
// frees a connection: what must end becomes DEAD or LINGER.
#include "http_exchange.h"

#include "http_admission.h"
#include "http_front.h"
#include "http_loop.h"
#include "http_reply.h"
#include "http_tls.h"
#include "log.h"

#define FILLS_MAX 8 // reads in one turn of the loop: others want to be served too, and epoll will call again

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
    uint64_t now = bfr_shared_now(connection->loop->shared);
    bfr_figures_traffic(request, now, &connection->traffic);
    if (request->refusal != BFR_REFUSE_NONE) {
        bfr_figures_reply(figures, bfr_refusal_info(request->refusal)->status, request->refusal);
        log_refusal(request);
        return;
    }
    bfr_figures_reply(figures, 200, BFR_REFUSE_NONE);
    if (request->success == BFR_SUCCESS_ACCEPTED || request->success == BFR_SUCCESS_DUPLICATE)
        bfr_figures_ack(figures, now - request->body_ns);
}

// The client cannot be in step with us any more, or must go: reply and end the connection.
static void reply_and_end(struct bfr_http_connection *connection)
{
    bfr_connection_unstarve(connection);
    count_reply(connection);
    bfr_linger_start(connection);
}

// The last byte of a reply that left the client and us in step is out.
static void finish_reply(struct bfr_http_connection *connection)
{
    if (connection->last) {
        bfr_connection_settle(connection);
        bfr_connection_kill(connection);
        return;
    }
    bfr_connection_rest(connection);
    bfr_reader_listen(connection);
    bfr_connection_settle(connection);
}

// Write at once instead of asking epoll first: the socket is nearly always writable, and this saves a turn of the loop.
static void flush(struct bfr_http_connection *connection)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    evbuffer_unfreeze(output, 1);
    evbuffer_write(output, connection->fd);
    evbuffer_freeze(output, 1);
    if (evbuffer_get_length(output) == 0) {
        finish_reply(connection);
        return;
    }
    // An error shows again in libevent's own write. What comes meanwhile belongs to the next request.
    bufferevent_enable(connection->bev, EV_WRITE);
}

static bool is_last(const struct bfr_http_connection *connection)
{
    const struct bfr_http_shared *shared = connection->loop->shared;
    return connection->request->gate.close || bfr_connection_is_old(connection) || atomic_load(&shared->shedding) ||
           atomic_load(&shared->closing);
}

// The request was read to its end: reply, and keep the connection if nothing speaks against it.
static void reply_in_step(struct bfr_http_connection *connection)
{
    struct bufferevent *bev = connection->bev;
    struct bfr_reply out;
    bfr_reply_build(connection->request, &out);
    count_reply(connection);
    if (bfr_connection_is_old(connection))
        bfr_figures_close(&connection->loop->shared->figures, BFR_CLOSE_AGE);
    uint64_t write_timeout_ms = connection->request->rules->write_timeout_ms;
    bfr_connection_release(connection);
    bfr_connection_enter(connection, BFR_CONNECTION_REPLY, bfr_connection_in_ms(connection, write_timeout_ms));
    // Left on by something sent before, it would ask epoll for every byte added.
    if ((bufferevent_get_enabled(bev) & EV_WRITE) != 0)
        bufferevent_disable(bev, EV_WRITE);
    struct evbuffer *output = bufferevent_get_output(bev);
    size_t before = evbuffer_get_length(output);
    if (!bfr_reply_write(&out, output, connection->last) ||
        (connection->ssl != NULL && !bfr_tls_seal(connection, before, connection->last)))
        bfr_connection_kill(connection);
    else
        flush(connection);
}

void bfr_exchange_written(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct bfr_http_connection *connection = arg;
    if (connection->phase == BFR_CONNECTION_REPLY)
        finish_reply(connection);
}

void bfr_exchange_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    bfr_connection_close(arg);
}

// Bytes behind the request that were seen before its reply are not served: the sender could not know whether they would be.
static bool is_followed(const struct bfr_http_connection *connection, bool at_once)
{
    return evbuffer_get_length(connection->raw) > 0 || connection->ended ||
           (connection->wire != NULL && evbuffer_get_length(connection->wire) > 0) ||
           bfr_reader_pending(connection, at_once);
}

// The request's last byte was read. `at_once`: in this very call. Behind a last reply the socket is closed, and bytes that
// nobody has read would make a reset of that, even those that epoll had no chance to tell of.
static void reply(struct bfr_http_connection *connection, bool at_once)
{
    connection->last = is_last(connection);
    if (is_followed(connection, at_once || connection->last))
        reply_and_end(connection);
    else
        reply_in_step(connection);
}

// ---- request ----

static void send_continue(struct bfr_http_connection *connection)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    size_t before = evbuffer_get_length(output);
    evbuffer_add(output, text, sizeof text - 1);
    if (connection->ssl != NULL && !bfr_tls_seal(connection, before, false))
        bfr_connection_kill(connection);
    else
        bfr_front_push(connection);
}

static void begin_body(struct bfr_http_connection *connection)
{
    const struct bfr_gate *gate = &connection->request->gate;
    if (gate->expect_continue && (gate->chunked || gate->length > 0) && evbuffer_get_length(connection->raw) == 0)
        send_continue(connection);
    connection->body_by_ns = bfr_connection_in_ms(connection, connection->request->rules->read_timeout_ms);
    connection->body_ns = bfr_connection_in_ms(connection, 0);
    connection->greedy = false;
    bfr_connection_await_body(connection);
}

static void wait_for_answer(struct bfr_http_connection *connection)
{
    bfr_connection_enter(connection, BFR_CONNECTION_WAIT,
                         connection->request->begun_ns + connection->request->rules->ack_timeout_ms * BFR_NS_PER_MS);
}

// Do what ingest says. GO is the caller's matter. `whole`: the request's last byte was read.
static void obey(struct bfr_http_connection *connection, enum bfr_step step, bool whole)
{
    switch (step) {
    case BFR_STEP_GO:
        break;
    case BFR_STEP_WAIT:
        wait_for_answer(connection);
        break;
    case BFR_STEP_STARVE:
        bfr_connection_starve(connection);
        break;
    case BFR_STEP_REPLY:
        if (whole)
            reply(connection, true);
        else
            reply_and_end(connection);
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
        bfr_connection_kill(connection);
        return;
    }
    loop->active++;
    connection->in_flight = true;
    connection->request = request;
    request->connection = connection;
    request->peer = connection->peer.text;
    request->begun_ns = bfr_shared_now(connection->loop->shared);
    bfr_connection_enter(connection, BFR_CONNECTION_HEAD,
                         request->begun_ns + request->rules->head_timeout_ms * BFR_NS_PER_MS);
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

// True: something came.
static bool fetch(struct bfr_http_connection *connection)
{
    return connection->more && ++connection->fills <= FILLS_MAX && bfr_reader_fetch(connection);
}

// True: there may be more to do, here and in what follows.
static bool read_head(struct bfr_http_connection *connection)
{
    enum bfr_gate_event event = feed_gate(connection);
    if (event == BFR_GATE_MORE)
        return has_raw(connection) || fetch(connection);
    if (event == BFR_GATE_BAD) {
        refuse(connection, connection->request->gate.refusal);
        return false;
    }
    enum bfr_step step = bfr_admission_run(connection->request);
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
    if (!bfr_ingest_fits(request)) {
        refuse(connection, BFR_REFUSE_TOO_LARGE);
        return false;
    }
    if (!has_raw(connection)) {
        if (!connection->more || ++connection->fills > FILLS_MAX)
            return false;
        bool came = bfr_reader_fill(connection, &step);
        obey(connection, step, false);
        return came;
    }
    uint64_t size = evbuffer_get_length(connection->raw);
    if (size > request->gate.body_left)
        size = request->gate.body_left;
    bfr_body_foresee(&request->body, connection->raw);
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
        return has_raw(connection) || fetch(connection);
    }
}

static bool await_request(struct bfr_http_connection *connection)
{
    if (!has_raw(connection))
        return fetch(connection);
    begin_request(connection);
    return true;
}

static bool step_on(struct bfr_http_connection *connection)
{
    switch (connection->phase) {
    case BFR_CONNECTION_GREETING:
        return fetch(connection);
    case BFR_CONNECTION_IDLE:
        return await_request(connection);
    case BFR_CONNECTION_HEAD:
        return read_head(connection);
    case BFR_CONNECTION_BODY:
        return read_body(connection);
    default:
        return false;
    }
}

// As far as the bytes reach.
static void work(struct bfr_http_connection *connection)
{
    connection->fills = 0;
    while (step_on(connection))
        ;
    // No more comes, so what is not complete never will be.
    if (connection->ended && connection->phase <= BFR_CONNECTION_BODY)
        bfr_connection_kill(connection);
}

void bfr_exchange_read(struct bfr_http_connection *connection)
{
    bfr_turn_enter(&connection->loop->turn);
    connection->more = true;
    work(connection);
}

// ---- waiting ----

// The time for which we kept it waiting is not the client's.
static void resume_body(struct bfr_http_connection *connection)
{
    uint64_t paused_for = bfr_shared_now(connection->loop->shared) - connection->paused_ns;
    connection->body_by_ns += paused_for;
    connection->body_ns += paused_for;
    bfr_connection_await_body(connection);
}

// Admission or a paused body goes on, or does not.
static void go_on(struct bfr_http_connection *connection, enum bfr_step step, bool was_admitted)
{
    if (step == BFR_STEP_GO) {
        bfr_connection_unstarve(connection);
        connection->more = connection->more || connection->deaf;
        bfr_reader_listen(connection);
        if (was_admitted)
            resume_body(connection);
        else
            begin_body(connection);
        work(connection);
    } else {
        if (step == BFR_STEP_WAIT)
            bfr_connection_unstarve(connection);
        obey(connection, step, false);
    }
}

bool bfr_exchange_feed(struct bfr_http_connection *connection)
{
    bool was_admitted = connection->request->stage == BFR_AT_BODY;
    enum bfr_step step = bfr_ingest_resume(connection->request);
    if (step == BFR_STEP_STARVE)
        return false;
    go_on(connection, step, was_admitted);
    return true;
}

void bfr_exchange_mail(struct bfr_http_connection *connection)
{
    bool complete = connection->request->stage == BFR_AT_ANSWER;
    enum bfr_step step = bfr_ingest_resume(connection->request);
    if (complete)
        reply(connection, false);
    else
        go_on(connection, step, false);
}

void bfr_exchange_expire(struct bfr_http_connection *connection)
{
    struct bfr_http_request *request = connection->request;
    bool complete = request->stage == BFR_AT_ANSWER;
    enum bfr_step step = bfr_ingest_expire(request);
    if (step == BFR_STEP_WAIT) // its mail is on the way
        bfr_connection_deadline(connection, bfr_connection_in_ms(connection, 1000));
    else if (complete)
        reply(connection, false);
    else
        reply_and_end(connection);
}
