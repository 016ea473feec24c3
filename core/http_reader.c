// SPDX-License-Identifier: Apache-2.0
// libevent reads at most 4096 bytes at a time. When it did, more is likely to wait, so the rest is read here, in one large
// read of just what the kernel holds, straight into the body: never beyond its end, and never more than the budget allows.
// Runs on the loop, below libevent's read callback or when a paused body goes on.
#include "http_connection.h"

#include <sys/ioctl.h>
#include <sys/uio.h>

#include "http_front.h"
#include "http_loop.h"

// Four blocks of a body (http_blocks.h). libevent rounds a buffer up to a power of two after adding its own header: stay
// below 256 KiB with it.
#define READ_MAX (256u * 1024u - 128u)

// A body that is decompressed to check it may expand a thousandfold: one read in a turn of the loop, and a small one, or
// one sender would hold up all others.
#define CHECKED_READ_MAX (16u * 1024u)

static size_t bytes_waiting(const struct bfr_http_connection *connection)
{
    int waiting = 0;
    return ioctl(connection->fd, FIONREAD, &waiting) == 0 && waiting > 0 ? (size_t)waiting : 0;
}

bool bfr_reader_pending(const struct bfr_http_connection *connection)
{
    return bytes_waiting(connection) > 0;
}

// readv into `count` vectors, cut to `size` bytes in all.
static ssize_t read_into(int fd, struct evbuffer_iovec *vectors, int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        if (vectors[i].iov_len > size)
            vectors[i].iov_len = size;
        size -= vectors[i].iov_len;
    }
    return readv(fd, vectors, count);
}

// Into the body: it is kept as it comes.
static ssize_t fill_body(struct bfr_http_connection *connection, size_t size)
{
    struct bfr_http_request *request = connection->request;
    struct evbuffer_iovec vectors[BFR_KEPT_VECTORS];
    int count = bfr_body_room(&request->body, size, vectors);
    if (count < 1)
        return -1;
    ssize_t got = read_into(connection->fd, vectors, count, size);
    request->refusal = bfr_body_filled(&request->body, vectors, count, got > 0 ? (size_t)got : 0);
    if (got <= 0 || request->refusal != BFR_REFUSE_NONE)
        return -1;
    bfr_gate_take(&request->gate, (uint64_t)got);
    return got;
}

static ssize_t fill_buffer(struct bfr_http_connection *connection, struct evbuffer *to, size_t size)
{
    struct evbuffer_iovec vectors[2];
    int count = evbuffer_reserve_space(to, (ev_ssize_t)size, vectors, 2);
    if (count < 1)
        return -1;
    ssize_t got = read_into(connection->fd, vectors, count, size);
    size_t left = got > 0 ? (size_t)got : 0;
    for (int i = 0; i < count; i++) {
        if (vectors[i].iov_len > left)
            vectors[i].iov_len = left;
        left -= vectors[i].iov_len;
    }
    evbuffer_commit_space(to, vectors, count);
    return got;
}

// Through TLS. Bytes that do not complete a record yet count as none.
static ssize_t fill_sealed(struct bfr_http_connection *connection, size_t size)
{
    ssize_t got = fill_buffer(connection, connection->wire, size);
    if (got > 0 && !bfr_front_receive(connection))
        return 0;
    return got;
}

static ssize_t fill(struct bfr_http_connection *connection, size_t size)
{
    if (connection->ssl != NULL)
        return fill_sealed(connection, size);
    if (connection->request->body.kind == BFR_BODY_GZIP)
        return fill_body(connection, size);
    // Into the bytes not looked at yet: they will be compressed or dropped.
    return fill_buffer(connection, connection->raw, size);
}

size_t bfr_reader_fill(struct bfr_http_connection *connection, enum bfr_step *out_step)
{
    struct bfr_http_request *request = connection->request;
    *out_step = BFR_STEP_GO;
    if (!connection->more)
        return 0;
    size_t waiting = bytes_waiting(connection);
    bool checked = request->body.gzip.live;
    size_t most = checked ? CHECKED_READ_MAX : READ_MAX;
    size_t size = waiting < most ? waiting : most;
    if (size > request->gate.body_left)
        size = (size_t)request->gate.body_left;
    if (size == 0) {
        connection->more = false;
        return 0;
    }
    *out_step = bfr_ingest_grow(request, size);
    if (*out_step != BFR_STEP_GO)
        return 0;
    ssize_t got = fill(connection, size);
    if (connection->ssl != NULL && got > 0 && evbuffer_get_length(connection->raw) == 0)
        got = 0;
    if (request->refusal != BFR_REFUSE_NONE)
        *out_step = BFR_STEP_REPLY;
    // An error or the end of the stream shows again in libevent's next read, which knows what to do about it.
    connection->more = got > 0 && (size_t)got < waiting && !checked;
    return got > 0 ? (size_t)got : 0;
}
