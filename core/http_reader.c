// SPDX-License-Identifier: Apache-2.0
// When a socket is read, and into what. Each read is a system call of its own that asks nothing first: what is not known yet
// goes to the loop's scratch, a body that is kept as it comes goes straight to where it stays, never beyond its end and never
// more than the budget allows. Where a read was not filled, the socket is empty, and epoll tells of what comes. Runs on the
// loop.
//
// Reading is turned off by the first news in a phase that reads nothing, not by the phase: mostly a client waits for its
// reply, and both system calls are saved.
#include "http_connection.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "http_exchange.h"
#include "http_front.h"
#include "http_loop.h"

// How far ahead of a body memory is asked for when the last read was filled: four blocks (http_blocks.h). A client that is
// slower gets it step by step, because it holds what was asked.
#define APPETITE_MAX (4 * (size_t)BFR_BLOCK_BYTES)

// A body that is decompressed to check it may expand a thousandfold: one read in a turn of the loop, and a small one, or
// one sender would hold up all others.
#define CHECKED_READ_MAX ((size_t)16 * 1024)

// What comes with a head lies outside memory.budget until its body is let in. It is a short read's where somebody waits for
// memory, and of all but so many requests of a loop: whoever decides on them may take long.
#define SHORT_READ_MAX ((size_t)4 * 1024)
#define CROWD_MIN      256u

#define SEALED_READ_MAX ((size_t)16 * 1024 - 128) // libevent makes a power of two of it and its own header

// ---- when ----

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bfr_http_connection *connection = arg;
    if (connection->phase <= BFR_CONNECTION_BODY)
        bfr_exchange_read(connection);
    else if (connection->phase == BFR_CONNECTION_LINGER)
        bfr_linger_read(connection);
    else
        bfr_reader_pause(connection);
}

bool bfr_reader_begin(struct bfr_http_connection *connection)
{
    struct event *reading = &connection->reading;
    bufferevent_disable(connection->bev, EV_READ);
    return event_assign(reading, connection->loop->base, connection->fd, EV_READ | EV_PERSIST, on_readable,
                        connection) == 0 &&
           event_add(reading, NULL) == 0;
}

void bfr_reader_end(struct bfr_http_connection *connection)
{
    if (event_initialized(&connection->reading))
        event_del(&connection->reading);
}

void bfr_reader_listen(struct bfr_http_connection *connection)
{
    if (connection->deaf && event_add(&connection->reading, NULL) != 0)
        bfr_connection_kill(connection);
    connection->deaf = false;
}

void bfr_reader_pause(struct bfr_http_connection *connection)
{
    event_del(&connection->reading);
    connection->deaf = true;
}

bool bfr_reader_pending(const struct bfr_http_connection *connection, bool at_once)
{
    int waiting = 0;
    if (!connection->deaf && !connection->more && !at_once)
        return false;
    return ioctl(connection->fd, FIONREAD, &waiting) == 0 && waiting > 0;
}

// ---- into what ----

// What a read has brought. False: nothing, and with the end of the stream or an error that of the connection.
static bool came(struct bfr_http_connection *connection, ssize_t got, size_t asked)
{
    connection->more = got > 0 && (size_t)got == asked;
    if (got > 0)
        return true;
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        bfr_connection_kill(connection);
    return false;
}

// Through the front: bytes that make up no header or record yet may leave nothing to look at.
static bool fetch_sealed(struct bfr_http_connection *connection)
{
    struct evbuffer_iovec room;
    if (evbuffer_reserve_space(connection->wire, (ev_ssize_t)SEALED_READ_MAX, &room, 1) != 1) {
        bfr_connection_kill(connection);
        return false;
    }
    size_t asked = room.iov_len < SEALED_READ_MAX ? room.iov_len : SEALED_READ_MAX;
    ssize_t got = read(connection->fd, room.iov_base, asked);
    if (!came(connection, got, asked))
        return false;
    room.iov_len = (size_t)got;
    return evbuffer_commit_space(connection->wire, &room, 1) == 0 && bfr_front_receive(connection);
}

static bool is_short_of_memory(const struct bfr_http_connection *connection)
{
    const struct bfr_http_loop *loop = connection->loop;
    bool crowded = connection->phase < BFR_CONNECTION_BODY && loop->active >= CROWD_MIN;
    return crowded || !TAILQ_EMPTY(&loop->starved) || !TAILQ_EMPTY(&loop->knocking);
}

bool bfr_reader_fetch(struct bfr_http_connection *connection)
{
    struct bfr_http_loop *loop = connection->loop;
    if (connection->wire != NULL)
        return fetch_sealed(connection);
    size_t asked = is_short_of_memory(connection) ? SHORT_READ_MAX : sizeof loop->scratch;
    ssize_t got = read(connection->fd, loop->scratch, asked);
    if (!came(connection, got, asked))
        return false;
    if (evbuffer_add(connection->raw, loop->scratch, (size_t)got) == 0)
        return true;
    bfr_connection_kill(connection);
    return false;
}

// How much of the body to ask for.
static size_t ask_for(const struct bfr_http_connection *connection)
{
    const struct bfr_http_request *request = connection->request;
    size_t step = BFR_REQUEST_STEP_BYTES - request->body.source_bytes % BFR_REQUEST_STEP_BYTES;
    size_t size = connection->greedy ? APPETITE_MAX : step;
    if (request->body.gzip.live)
        size = CHECKED_READ_MAX;
    return request->gate.body_left < size ? (size_t)request->gate.body_left : size;
}

// The vectors to `size` bytes in all, or what there is of them.
static size_t cut(struct evbuffer_iovec *vectors, int count, size_t size)
{
    size_t room = 0;
    for (int i = 0; i < count; i++) {
        if (vectors[i].iov_len > size - room)
            vectors[i].iov_len = size - room;
        room += vectors[i].iov_len;
    }
    return room;
}

// Behind the body's end there is room in the scratch: so a read tells also that nothing followed.
static bool fill_body(struct bfr_http_connection *connection, size_t size)
{
    struct bfr_http_request *request = connection->request;
    struct bfr_http_loop *loop = connection->loop;
    struct evbuffer_iovec vectors[BFR_KEPT_VECTORS + 1];
    int count = bfr_body_room(&request->body, size, vectors);
    if (count < 1) {
        request->refusal = BFR_REFUSE_MEMORY;
        return false;
    }
    size_t room = cut(vectors, count, size);
    size_t beyond = room == request->gate.body_left ? sizeof loop->scratch : 0;
    vectors[count] = (struct evbuffer_iovec){loop->scratch, beyond};
    ssize_t got = readv(connection->fd, vectors, count + 1);
    bool some = came(connection, got, room + beyond);
    size_t kept = !some ? 0 : (size_t)got < room ? (size_t)got : room;
    request->refusal = bfr_body_filled(&request->body, vectors, count, kept);
    if (!some || request->refusal != BFR_REFUSE_NONE)
        return false;
    connection->greedy = kept == room;
    bfr_gate_take(&request->gate, kept);
    if (evbuffer_add(connection->raw, loop->scratch, (size_t)got - kept) == 0)
        return true;
    bfr_connection_kill(connection);
    return false;
}

bool bfr_reader_fill(struct bfr_http_connection *connection, enum bfr_step *out_step)
{
    struct bfr_http_request *request = connection->request;
    bool checked = request->body.gzip.live;
    *out_step = BFR_STEP_GO;
    // Otherwise into the bytes not looked at yet: they will be opened, compressed or dropped.
    bool straight = connection->ssl == NULL && request->body.kind == BFR_BODY_GZIP;
    size_t size = ask_for(connection);
    if (straight)
        *out_step = bfr_ingest_grow(request, size);
    if (*out_step != BFR_STEP_GO)
        return false;
    bool came_in = straight ? fill_body(connection, size) : bfr_reader_fetch(connection);
    if (request->refusal != BFR_REFUSE_NONE)
        *out_step = BFR_STEP_REPLY;
    connection->more = connection->more && !checked;
    return came_in;
}
