// SPDX-License-Identifier: Apache-2.0
// OpenSSL reads from `wire` and writes to the bufferevent's output through a BIO of our own, so there is no copy that it
// does not make itself. Runs on the connection's loop. Never touches the socket.
#include "http_tls.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>

#include "http_loop.h"
#include "http_tls_context.h"

#define ROOM_MIN 4096u
#define ROOM_MAX (256u * 1024u - 128u) // as in http_reader.c

// ---- BIO ----

static int bio_read(BIO *bio, char *data, int size)
{
    struct bfr_http_connection *connection = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    int got = size > 0 ? evbuffer_remove(connection->wire, data, (size_t)size) : 0;
    if (got > 0 || size <= 0)
        return got;
    BIO_set_retry_read(bio);
    return -1;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct bfr_http_connection *connection = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    return evbuffer_add(bufferevent_get_output(connection->bev), data, (size_t)size) == 0 ? size : -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;
static pthread_once_t method_made = PTHREAD_ONCE_INIT;

static void free_method(void)
{
    BIO_meth_free(method);
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    if (method == NULL)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    OPENSSL_atexit(free_method);
}

// ---- life ----

bool bfr_tls_begin(struct bfr_http_connection *connection)
{
    pthread_once(&method_made, make_method);
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    connection->ssl = bio == NULL ? NULL : bfr_tls_session(connection->loop->shared->tls);
    if (connection->ssl == NULL) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(connection->ssl, bio, bio);
    return true;
}

void bfr_tls_end(struct bfr_http_connection *connection)
{
    SSL_free(connection->ssl);
    connection->ssl = NULL;
}

bool bfr_tls_is_ready(const struct bfr_http_connection *connection)
{
    return SSL_is_init_finished(connection->ssl);
}

// ---- receiving ----

static enum bfr_tls_state judge(const SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return BFR_TLS_OPEN;
    case SSL_ERROR_ZERO_RETURN:
        return BFR_TLS_ENDED;
    default:
        return BFR_TLS_FAILED;
    }
}

// Fill one stretch of `raw`. True: it is full, and there may be more.
static bool fill(struct bfr_http_connection *connection, enum bfr_tls_state *state)
{
    struct evbuffer_iovec room;
    size_t size = evbuffer_get_length(connection->wire);
    size = size < ROOM_MIN ? ROOM_MIN : size > ROOM_MAX ? ROOM_MAX : size;
    if (evbuffer_reserve_space(connection->raw, (ev_ssize_t)size, &room, 1) != 1) {
        *state = BFR_TLS_FAILED;
        return false;
    }
    size_t used = 0;
    int got = 1;
    while (got > 0 && used < room.iov_len) {
        size_t left = room.iov_len - used;
        got = SSL_read(connection->ssl, (char *)room.iov_base + used, left < INT_MAX ? (int)left : INT_MAX);
        used += got > 0 ? (size_t)got : 0;
    }
    if (got <= 0)
        *state = judge(connection->ssl, got);
    room.iov_len = used;
    if (evbuffer_commit_space(connection->raw, &room, 1) != 0) {
        *state = BFR_TLS_FAILED;
        return false;
    }
    return got > 0;
}

enum bfr_tls_state bfr_tls_receive(struct bfr_http_connection *connection)
{
    enum bfr_tls_state state = BFR_TLS_OPEN;
    ERR_clear_error();
    while (fill(connection, &state))
        ;
    return state;
}

// ---- sending ----

bool bfr_tls_send(struct bfr_http_connection *connection, struct evbuffer *plain, bool last)
{
    bool ok = true;
    size_t size;
    ERR_clear_error();
    while (ok && (size = evbuffer_get_length(plain)) > 0) {
        size = size < ROOM_MAX ? size : ROOM_MAX;
        const void *data = evbuffer_pullup(plain, (ev_ssize_t)size); // a reply: short, so that it becomes one record
        ok = data != NULL && SSL_write(connection->ssl, data, (int)size) == (int)size &&
             evbuffer_drain(plain, size) == 0;
    }
    if (ok && last)
        (void)SSL_shutdown(connection->ssl); // 0: the client has not said it yet
    ERR_clear_error();
    return ok;
}

bool bfr_tls_seal(struct bfr_http_connection *connection, size_t before, bool last)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    struct evbuffer *sealed = evbuffer_new();
    struct evbuffer *plain = evbuffer_new();
    bool ok = sealed != NULL && plain != NULL;
    // The bufferevent guards the front of its output, except from itself.
    evbuffer_unfreeze(output, 1);
    if (ok)
        ok = evbuffer_remove_buffer(output, sealed, before) == (int)before && evbuffer_add_buffer(plain, output) == 0 &&
             evbuffer_add_buffer(output, sealed) == 0;
    if (!ok)
        evbuffer_drain(output, evbuffer_get_length(output)); // nothing may leave as it is
    evbuffer_freeze(output, 1);
    ok = ok && bfr_tls_send(connection, plain, last);
    if (sealed != NULL)
        evbuffer_free(sealed);
    if (plain != NULL)
        evbuffer_free(plain);
    return ok;
}

void bfr_tls_farewell(struct bfr_http_connection *connection)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    if (!bfr_tls_is_ready(connection) || (SSL_get_shutdown(connection->ssl) & SSL_SENT_SHUTDOWN) != 0 ||
        evbuffer_get_length(output) > 0)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(connection->ssl);
    ERR_clear_error();
    evbuffer_unfreeze(output, 1);
    evbuffer_write(output, connection->fd);
    evbuffer_freeze(output, 1);
}

const char *bfr_tls_failure(void)
{
    static _Thread_local char text[128];
    return bfr_tls_error(text, sizeof text);
}
