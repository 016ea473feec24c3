// SPDX-License-Identifier: Apache-2.0
// Counts the API's connections and ends those that take too long. Runs on the admin thread only. Never reads or writes
// a connection: that is evhttp's.
#include "http_admin_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <openssl/err.h>

#include "http_tls_context.h"
#include "log.h"
#include "metrics.h"

#define LISTENERS_MAX 32
#define PAUSE_MS      100 // after a failed accept; without it the loop would spin for as long as descriptors are short

struct conn {
    struct conn *next, *previous;
    struct bfr_admin_conns *conns;
    struct bufferevent *newborn; // until evhttp has made its connection; we hold a reference
    struct evhttp_connection *connection;
    struct event *deadline;
};

struct bfr_admin_conns {
    struct event_base *base;
    struct bfr_tls *tls;
    struct bfr_series *failed;
    struct conn *first;
    uint32_t count, limit;
    struct timeval lifetime;
    struct evconnlistener *listeners[LISTENERS_MAX];
    size_t listener_count;
};

static struct timeval as_timeval(uint32_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static void set_listening(struct bfr_admin_conns *conns)
{
    for (size_t i = 0; i < conns->listener_count; i++) {
        if (conns->count < conns->limit)
            evconnlistener_enable(conns->listeners[i]);
        else
            evconnlistener_disable(conns->listeners[i]);
    }
}

static void free_conn(struct conn *conn)
{
    if (conn->newborn != NULL)
        bufferevent_decref(conn->newborn);
    if (conn->deadline != NULL)
        event_free(conn->deadline);
    free(conn);
}

static void forget(struct conn *conn)
{
    struct bfr_admin_conns *conns = conn->conns;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    if (conn->previous != NULL)
        conn->previous->next = conn->next;
    else
        conns->first = conn->next;
    free_conn(conn);
    conns->count--;
    set_listening(conns);
}

// Did the client prove that it has the same keys? SSL_is_init_finished would not tell: it is false after a later error too.
static bool has_shaken_hands(const SSL *ssl)
{
    uint8_t first;
    return SSL_get_peer_finished(ssl, &first, sizeof first) > 0;
}

// evhttp closes the socket next. It still reads it then when it ends a connection behind a reply, and would tell epoll only
// after the close, perhaps when another thread has been given the descriptor's number.
static void on_close(struct evhttp_connection *connection, void *arg)
{
    struct conn *conn = arg;
    struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl != NULL && !has_shaken_hands(ssl))
        bfr_series_add(conn->conns->failed, 1);
    if (ssl != NULL && SSL_is_init_finished(ssl)) {
        ERR_clear_error(); // the last words, if the socket takes them at once
        (void)SSL_shutdown(ssl);
        ERR_clear_error();
    }
    (void)bufferevent_disable(bev, EV_READ | EV_WRITE);
    forget(conn);
}

static void on_deadline(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    struct conn *conn = arg;
    evhttp_connection_free(conn->connection); // calls on_close
}

// The first turn of the loop after accept: evhttp has set its callbacks by now, and their argument is its connection.
// Without one it failed to make it, and the bufferevent lives only through our reference.
static void on_adopt(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    struct conn *conn = arg;
    void *connection = NULL;
    bufferevent_getcb(conn->newborn, NULL, NULL, NULL, &connection);
    bufferevent_decref(conn->newborn);
    conn->newborn = NULL;
    if (connection == NULL) {
        forget(conn);
        return;
    }
    conn->connection = connection;
    evhttp_connection_set_closecb(conn->connection, on_close, conn);
    evtimer_add(conn->deadline, &conn->conns->lifetime);
}

static struct conn *make_conn(struct bfr_admin_conns *conns, struct bufferevent *bev)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->conns = conns;
    conn->newborn = bev;
    bufferevent_incref(bev);
    conn->deadline = evtimer_new(conns->base, on_deadline, conn);
    if (conn->deadline == NULL || event_base_once(conns->base, -1, EV_TIMEOUT, on_adopt, conn, NULL) != 0) {
        free_conn(conn);
        return NULL;
    }
    return conn;
}

static struct bufferevent *new_tls(struct bfr_admin_conns *conns)
{
    SSL *ssl = bfr_tls_session(conns->tls);
    struct bufferevent *bev =
        ssl == NULL
            ? NULL
            : bufferevent_openssl_socket_new(conns->base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL)
        SSL_free(ssl);
    else // HTTP says where a message ends; a client need not say goodbye
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

// evhttp asks for the bufferevent of a connection it is about to accept. Returning NULL makes it take one of its own, so
// a connection that we have no memory for is served without being counted; its evhttp timeout still ends it.
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct bfr_admin_conns *conns = arg;
    struct bufferevent *bev = conns->tls != NULL ? new_tls(conns) : bufferevent_socket_new(base, -1, 0);
    struct conn *conn = bev != NULL ? make_conn(conns, bev) : NULL;
    if (conn == NULL)
        return bev;
    conn->next = conns->first;
    if (conns->first != NULL)
        conns->first->previous = conn;
    conns->first = conn;
    conns->count++;
    if (conns->count >= conns->limit) {
        bfr_say(BFR_LOG_WARN, "api", "too many connections; new ones wait", "limit", bfr_num(conns->limit).text, NULL);
        set_listening(conns);
    }
    return bev;
}

static void on_pause_over(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    evconnlistener_enable(arg); // at the limit, should it be reached, the next connection disables it again
}

// The argument of a listener's callbacks is evhttp's, so this works without `conns`.
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    const char *error = strerror(errno); // accept's
    const struct timeval pause = as_timeval(PAUSE_MS);
    bfr_say(BFR_LOG_WARN, "api", "cannot accept a connection; raise the limit of open files if this goes on", "error",
            error, NULL);
    if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_pause_over, listener, &pause) == 0)
        evconnlistener_disable(listener);
}

struct bfr_admin_conns *bfr_admin_conns_new(struct event_base *base, struct evhttp *http, uint32_t limit,
                                            uint32_t lifetime_ms, struct bfr_tls *tls, struct bfr_series *failed)
{
    struct bfr_admin_conns *conns = calloc(1, sizeof *conns);
    if (conns == NULL)
        return NULL;
    conns->base = base;
    conns->tls = tls;
    conns->failed = failed;
    conns->limit = limit;
    conns->lifetime = as_timeval(lifetime_ms);
    evhttp_set_bevcb(http, on_accept, conns);
    return conns;
}

void bfr_admin_conns_close(struct bfr_admin_conns *conns)
{
    conns->listener_count = 0;
}

void bfr_admin_conns_free(struct bfr_admin_conns *conns)
{
    if (conns == NULL)
        return;
    while (conns->first != NULL) { // accepted when the loop ended, never adopted
        struct conn *next = conns->first->next;
        free_conn(conns->first);
        conns->first = next;
    }
    free(conns);
}

int bfr_admin_conns_listener(struct bfr_admin_conns *conns, struct evconnlistener *listener)
{
    if (conns->listener_count == LISTENERS_MAX)
        return -1;
    evconnlistener_set_error_cb(listener, on_accept_error);
    conns->listeners[conns->listener_count++] = listener;
    return 0;
}

static struct conn *find_conn(struct bfr_admin_conns *conns, const struct evhttp_connection *connection)
{
    struct conn *conn = conns->first;
    while (conn != NULL && (connection == NULL || conn->connection != connection))
        conn = conn->next;
    return conn;
}

void bfr_admin_conns_renew(struct bfr_admin_conns *conns, struct evhttp_connection *connection)
{
    struct conn *conn = find_conn(conns, connection);
    if (conn != NULL)
        evtimer_add(conn->deadline, &conns->lifetime);
}

void bfr_admin_conns_hold(struct bfr_admin_conns *conns, struct evhttp_connection *connection)
{
    struct conn *conn = find_conn(conns, connection);
    if (conn != NULL)
        evtimer_del(conn->deadline);
}
