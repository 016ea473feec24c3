// SPDX-License-Identifier: Apache-2.0
// The turn of a loop, its mail, and how the main thread steers it. The main thread only sets a flag and nudges; what the
// flag means is done here, on the loop's own thread.
#include "http_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "bug.h"
#include "http_activation.h"
#include "http_exchange.h"
#include "http_socket.h"
#include "pipe_pump.h"
#include "thread.h"

// A listener that is paused, or never runs dry, must not hold up the stop.
#define CLOSE_WAIT_NS BFR_NS_PER_S

#define SPARE_REQUESTS_MAX 64 // about 3 KB each

// ---- requests ----

struct bfr_http_request *bfr_loop_request(struct bfr_http_loop *loop)
{
    struct bfr_http_request *request = loop->spare;
    if (request != NULL) {
        loop->spare = request->next_spare;
        loop->spare_count--;
    } else {
        request = malloc(sizeof *request);
        if (request == NULL)
            return NULL;
        if (!bfr_body_init(&request->body, loop->shared->sha256, bfr_budget_blocks(loop->shared->budget))) {
            bfr_body_fini(&request->body);
            free(request);
            return NULL;
        }
    }
    // The gate and the body begin by themselves; they are large.
    memset(request, 0, offsetof(struct bfr_http_request, gate));
    bfr_gate_begin(&request->gate);
    request->shared = loop->shared;
    request->rules = bfr_rules_use(loop->rules);
    request->mailbox = &loop->mailbox;
    request->stage = BFR_AT_HEAD;
    return request;
}

static void free_request(struct bfr_http_request *request)
{
    bfr_body_fini(&request->body);
    free(request);
}

void bfr_loop_recycle(struct bfr_http_loop *loop, struct bfr_http_request *request)
{
    bfr_gate_end(&request->gate);
    bfr_rules_leave(request->rules);
    request->rules = NULL;
    if (loop->spare_count >= SPARE_REQUESTS_MAX) {
        free_request(request);
        return;
    }
    request->next_spare = loop->spare;
    loop->spare = request;
    loop->spare_count++;
}

// ---- steering ----

static void steer_again(struct bfr_http_loop *loop, uint64_t wait_us)
{
    struct timeval wait = {(time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000)};
    event_add(loop->on_steer, &wait);
}

static void close_listeners(struct bfr_http_loop *loop)
{
    if (loop->deaf)
        return;
    uint64_t now = bfr_shared_now(loop->shared);
    if (loop->close_by_ns == 0)
        loop->close_by_ns = now + CLOSE_WAIT_NS;
    if (!bfr_listeners_close(&loop->listeners, now >= loop->close_by_ns)) {
        steer_again(loop, 1000); // what is queued there is accepted first
        return;
    }
    loop->deaf = true;
    pthread_mutex_lock(&loop->shared->lock);
    loop->shared->listening--;
    pthread_cond_signal(&loop->shared->steered);
    pthread_mutex_unlock(&loop->shared->lock);
}

static void close_all(struct bfr_http_loop *loop)
{
    struct bfr_http_connection *connection = TAILQ_FIRST(&loop->all);
    while (connection != NULL) {
        struct bfr_http_connection *next = TAILQ_NEXT(connection, link);
        if (connection->phase != BFR_CONNECTION_NEWBORN) { // those are not evhttp's yet, and come back in this turn
            loop->cut_off += connection->in_flight;
            bfr_connection_close(connection);
        }
        connection = next;
    }
}

static void finish(struct bfr_http_loop *loop)
{
    uint64_t now = bfr_shared_now(loop->shared);
    uint64_t by = atomic_load(&loop->shared->finish_by_ns);
    if (loop->active > 0 && now < by) {
        steer_again(loop, (by - now) / 1000 + 1);
        return;
    }
    close_all(loop);
    // An orphan's answer is being delivered at this moment; leaving now would free the request under it.
    if (loop->orphans == 0 && TAILQ_EMPTY(&loop->all))
        event_base_loopbreak(loop->base);
    else
        steer_again(loop, 1000);
}

static void steer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bfr_http_loop *loop = arg;
    bfr_turn_enter(&loop->turn);
    if (atomic_load(&loop->shared->closing))
        close_listeners(loop);
    if (atomic_load(&loop->shared->finishing))
        finish(loop);
}

// May be called from within an exchange, where no connection may be freed.
void bfr_loop_settled(struct bfr_http_loop *loop)
{
    if (loop->active == 0 && atomic_load(&loop->shared->finishing))
        event_active(loop->on_steer, EV_TIMEOUT, 0);
}

// ---- mail ----

static void open_mail(struct bfr_http_loop *loop, struct bfr_http_request *request)
{
    if (request->connection != NULL) {
        bfr_exchange_mail(request->connection);
        return;
    }
    loop->orphans--;
    bfr_loop_recycle(loop, request);
}

// Memory also comes free without being given back: a queue's copy becomes one that can be evicted.
#define HUNGER_US 20000

void bfr_loop_hungry(struct bfr_http_loop *loop)
{
    static const struct timeval moment = {0, HUNGER_US};
    if (!event_pending(loop->on_hunger, EV_TIMEOUT, NULL))
        event_add(loop->on_hunger, &moment);
}

static bool is_small(const struct bfr_http_connection *connection)
{
    const struct bfr_gate *gate = &connection->request->gate;
    return !gate->chunked && gate->length <= BFR_REQUEST_STEP_BYTES;
}

// Those that knock, oldest first. A small body does not wait behind a large one that does not fit.
static void admit_knocking(struct bfr_http_loop *loop)
{
    bool large_wait = !TAILQ_EMPTY(&loop->starved);
    struct bfr_http_connection *connection = TAILQ_FIRST(&loop->knocking);
    while (connection != NULL) {
        struct bfr_http_connection *next = TAILQ_NEXT(connection, starved_link);
        bool small = is_small(connection);
        if (small || !large_wait) {
            bool fed = bfr_exchange_feed(connection);
            if (!fed && small)
                break;
            large_wait |= !fed;
        }
        connection = next;
    }
}

// Bodies already begun come first: each that ends gives back what it holds.
static void feed_starved(struct bfr_http_loop *loop)
{
    struct bfr_http_connection *oldest;
    while ((oldest = TAILQ_FIRST(&loop->starved)) != NULL && bfr_exchange_feed(oldest))
        ;
    admit_knocking(loop);
    if (!TAILQ_EMPTY(&loop->starved) || !TAILQ_EMPTY(&loop->knocking))
        bfr_loop_hungry(loop);
}

static void on_hunger(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bfr_http_loop *loop = arg;
    bfr_turn_enter(&loop->turn);
    feed_starved(loop);
}

struct bfr_rules *bfr_loop_change(struct bfr_http_loop *loop, struct bfr_rules *rules)
{
    struct bfr_rules *untaken = atomic_exchange(&loop->incoming, rules);
    bfr_mailbox_nudge(&loop->mailbox);
    return untaken;
}

static void take_rules(struct bfr_http_loop *loop)
{
    if (atomic_load_explicit(&loop->incoming, memory_order_relaxed) == NULL)
        return;
    struct bfr_rules *fresh = atomic_exchange(&loop->incoming, NULL);
    if (fresh == NULL)
        return;
    bfr_rules_leave(loop->rules);
    loop->rules = fresh;
    pthread_mutex_lock(&loop->shared->lock);
    pthread_cond_signal(&loop->shared->steered);
    pthread_mutex_unlock(&loop->shared->lock);
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    struct bfr_http_loop *loop = arg;
    bfr_turn_enter(&loop->turn);
    atomic_store_explicit(&loop->turned, true, memory_order_relaxed);
    take_rules(loop);
    struct bfr_mail *mail = bfr_mailbox_take(&loop->mailbox);
    while (mail != NULL) {
        struct bfr_mail *next = mail->next;
        open_mail(loop, (struct bfr_http_request *)mail);
        mail = next;
    }
    feed_starved(loop);
    steer(fd, what, loop);
}

// ---- life ----

static bool make_base(struct bfr_http_loop *loop)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return false;
    // Without the changelist: it saves no system call here, and would let a removal reach the kernel after another thread was
    // given the closed descriptor's number.
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    return loop->base != NULL;
}

// Called only for a connection that got no gate, because memory was short: every other one is taken from evhttp at birth.
static void refuse_ungated(struct evhttp_request *request, void *arg)
{
    (void)arg;
    evhttp_send_error(request, 503, "Service Unavailable");
}

static bool make_http(struct bfr_http_loop *loop)
{
    loop->http = evhttp_new(loop->base);
    if (loop->http == NULL)
        return false;
    evhttp_set_bevcb(loop->http, bfr_connection_accept, loop);
    evhttp_set_gencb(loop->http, refuse_ungated, NULL);
    evhttp_set_max_headers_size(loop->http, (ev_ssize_t)BFR_GATE_HEAD_MAX);
    evhttp_set_max_body_size(loop->http, 0);
    return true;
}

static size_t listener_room(const struct bfr_http_shared *shared)
{
    size_t inherited = bfr_activation_count(bfr_socket_webhook.name);
    return inherited > 0 ? inherited : shared->setup.settings->webhook.bind_count;
}

uint32_t bfr_loop_init(struct bfr_http_loop *loop, struct bfr_http_shared *shared, struct bfr_rules *rules,
                       struct bfr_err *err)
{
    memset(loop, 0, sizeof *loop);
    loop->shared = shared;
    loop->rules = rules;
    atomic_init(&loop->turned, true);
    TAILQ_INIT(&loop->all);
    TAILQ_INIT(&loop->starved);
    TAILQ_INIT(&loop->knocking);
    uint32_t status = BFR_ENOMEM;
    if (!bfr_mailbox_open(&loop->mailbox)) {
        status = bfr_err_set(err, BFR_EFAIL, "cannot make an eventfd: %s", strerror(errno));
        goto out;
    }
    bfr_err_set(err, status, "cannot make an event loop: out of memory or descriptors");
    if (!make_base(loop) || !make_http(loop))
        goto out;
    loop->on_mail = event_new(loop->base, loop->mailbox.fd, EV_READ | EV_PERSIST, on_mail, loop);
    loop->on_steer = evtimer_new(loop->base, steer, loop);
    loop->on_hunger = evtimer_new(loop->base, on_hunger, loop);
    if (loop->on_mail == NULL || loop->on_steer == NULL || loop->on_hunger == NULL ||
        event_add(loop->on_mail, NULL) != 0)
        goto out;
    status = bfr_listeners_init(&loop->listeners, loop->http, loop->base, shared, listener_room(shared), err);
    if (status == BFR_OK && err != NULL)
        err->text[0] = '\0';
out:
    if (status != BFR_OK)
        bfr_loop_fini(loop);
    return status;
}

static void *run(void *arg)
{
    struct bfr_http_loop *loop = arg;
    bfr_listeners_adopt(&loop->listeners);
    // One turn serves all connections that are ready; what they hand in wakes a pump once, at the turn's end.
    do {
        bfr_pump_hold();
        event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
        bfr_pump_let_go();
        bfr_turn_end(&loop->turn, &loop->shared->turns);
    } while (!event_base_got_break(loop->base));
    return NULL;
}

uint32_t bfr_loop_start(struct bfr_http_loop *loop, unsigned index, struct bfr_err *err)
{
    char name[16];
    snprintf(name, sizeof name, "http-%u", index);
    int failed = bfr_thread_start(&loop->thread, name, run, loop);
    if (failed)
        return bfr_err_set(err, BFR_EFAIL, "cannot start thread %s: %s", name, strerror(failed));
    loop->running = true;
    return BFR_OK;
}

void bfr_loop_join(struct bfr_http_loop *loop)
{
    if (loop->running)
        pthread_join(loop->thread, NULL);
    loop->running = false;
}

void bfr_loop_fini(struct bfr_http_loop *loop)
{
    bfr_listeners_fini(&loop->listeners);
    if (loop->http != NULL)
        evhttp_free(loop->http);
    if (loop->on_mail != NULL)
        event_free(loop->on_mail);
    if (loop->on_steer != NULL)
        event_free(loop->on_steer);
    if (loop->on_hunger != NULL)
        event_free(loop->on_hunger);
    if (loop->base != NULL)
        event_base_free(loop->base); // runs the finalizers of freed bufferevents, which close the descriptors
    bfr_mailbox_close(&loop->mailbox);
    while (loop->spare != NULL) {
        struct bfr_http_request *request = loop->spare;
        loop->spare = request->next_spare;
        free_request(request);
    }
    bfr_rules_leave(loop->rules);
    bfr_rules_leave(atomic_exchange(&loop->incoming, NULL));
    loop->rules = NULL;
    loop->http = NULL;
    loop->base = NULL;
}
