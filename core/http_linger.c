// SPDX-License-Identifier: Apache-2.0
// The end of a connection whose client may still be sending. Closing a socket with unread bytes sends a reset, which
// destroys a reply the client has not read yet. So: reply, shut down our side, read and drop what still comes until the
// client closes, is quiet for two seconds, or has had the time or the bytes of a body; only then free the connection. Many
// clients read nothing before they have sent everything. Runs on the loop.
#include "http_connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "http_loop.h"
#include "http_reply.h"
#include "http_tls.h"

#define LINGER_NS       (2 * BFR_NS_PER_S)
#define LINGER_BYTES    (UINT64_C(64) << 20)
#define DISCARD_AT_ONCE (UINT64_C(1) << 20)

// MSG_TRUNC makes TCP drop the bytes in the kernel. A raw system call, because the sanitizers' recv takes it for a write
// to the buffer that is not there.
static bool discard(struct bfr_http_connection *connection)
{
    long got = syscall(SYS_recvfrom, connection->fd, NULL, DISCARD_AT_ONCE, MSG_TRUNC | MSG_DONTWAIT, NULL, NULL);
    uint64_t size = got > 0 ? (uint64_t)got : 0;
    if (size > connection->linger_left)
        return false;
    connection->linger_left -= size;
    return got != 0; // 0: end of stream
}

static void wait_on(struct bfr_http_connection *connection)
{
    uint64_t quiet_ns = bfr_shared_now(connection->loop->shared) + LINGER_NS;
    bfr_connection_deadline(connection, quiet_ns < connection->linger_by_ns ? quiet_ns : connection->linger_by_ns);
}

void bfr_linger_read(struct bfr_http_connection *connection)
{
    // A client that has shut down its side waits for the reply: its end of stream must not end the connection before.
    if (evbuffer_get_length(bufferevent_get_output(connection->bev)) > 0)
        bfr_reader_pause(connection);
    else if (discard(connection))
        wait_on(connection);
    else
        bfr_connection_close(connection);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct bfr_http_connection *connection = arg;
    shutdown(connection->fd, SHUT_WR);
    bfr_reader_listen(connection);
    connection->linger_by_ns = bfr_connection_in_ms(connection, connection->loop->rules->read_timeout_ms);
    wait_on(connection);
    bfr_connection_settle(connection);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    bfr_connection_close(arg);
}

void bfr_linger_out(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    struct bufferevent *bev = connection->bev;
    connection->phase = BFR_CONNECTION_LINGER;
    connection->linger_left = LINGER_BYTES;
    evbuffer_drain(connection->raw, evbuffer_get_length(connection->raw));
    bufferevent_setcb(bev, NULL, on_written, on_event, connection);
    bufferevent_enable(bev, EV_WRITE);
    uint64_t write_ns = loop->rules->write_timeout_ms * BFR_NS_PER_MS;
    bfr_connection_deadline(connection, bfr_shared_now(loop->shared) + write_ns);
}

void bfr_linger_start(struct bfr_http_connection *connection)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);
    size_t before = evbuffer_get_length(output);
    struct bfr_reply reply;
    bfr_reply_build(connection->request, &reply);
    bfr_connection_release(connection);
    if (bfr_reply_write(&reply, output, true) && (connection->ssl == NULL || bfr_tls_seal(connection, before, true)))
        bfr_linger_out(connection);
    else
        bfr_connection_kill(connection);
}
