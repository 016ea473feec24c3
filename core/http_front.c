// SPDX-License-Identifier: Apache-2.0
// Runs on the connection's loop, within an exchange: what must end is killed from the timer, or lingers. Whoever
// is turned away here has sent no request, so it is counted apart and logged as life, not as an error: a port scan must
// not fill the log.
#include "http_front.h"

#include <string.h>

#include "config_cidr.h"
#include "http_loop.h"
#include "http_proxy.h"
#include "http_tls.h"
#include "log.h"

#define TLS_HANDSHAKE 0x16 // the first byte of a TLS connection (RFC 8446 section 5.1)

// A 4xx would make a sender with a wrong URL give up its batches; this makes it try again until somebody has read it.
static const char speak_tls[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                "Content-Length: 42\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"
                                "this port speaks TLS: use an https:// URL\n";

static void turn_away(struct bfr_http_connection *connection, enum bfr_close reason, const char *message,
                      const char *cause)
{
    bfr_figures_close(&connection->loop->shared->figures, reason);
    bfr_say(BFR_LOG_INFO, "http", message, "peer", connection->peer.text, "cause", cause, NULL);
    if (evbuffer_get_length(bufferevent_get_output(connection->bev)) > 0)
        bfr_linger_out(connection);
    else
        bfr_connection_kill(connection);
}

// ---- PROXY ----

static bool is_trusted(const struct bfr_http_shared *shared, const struct bfr_peer *peer)
{
    for (size_t i = 0; i < shared->trusted_count; i++) {
        if (bfr_cidr_holds(&shared->trusted[i], peer->address))
            return true;
    }
    return false;
}

// True: the connection goes on with what follows.
static bool take_header(struct bfr_http_connection *connection)
{
    struct bfr_proxy_header header;
    size_t size = evbuffer_get_length(connection->wire);
    size = size < BFR_PROXY_MAX ? size : BFR_PROXY_MAX;
    const uint8_t *data = evbuffer_pullup(connection->wire, (ev_ssize_t)size);
    switch (size == 0 || data == NULL ? BFR_PROXY_MORE : bfr_proxy_parse(data, size, &header)) {
    case BFR_PROXY_MORE:
        return false;
    case BFR_PROXY_BAD:
        turn_away(connection, BFR_CLOSE_PROXY_MISSING,
                  "connection refused: a trusted balancer must begin with a PROXY header; let it send one, or take it "
                  "out of webhook.proxy_protocol.trusted",
                  header.wrong);
        return false;
    case BFR_PROXY_CLIENT:
        bfr_peer_set(&connection->peer, header.address, header.port);
        if (!bfr_connection_count(connection, connection->peer.text)) {
            bfr_figures_close(&connection->loop->shared->figures, BFR_CLOSE_ADDRESS);
            bfr_connection_kill(connection);
            return false;
        }
        break;
    case BFR_PROXY_LOCAL:
        break;
    }
    evbuffer_drain(connection->wire, header.size);
    connection->front = BFR_FRONT_NONE;
    return true;
}

static bool look_for_header(struct bfr_http_connection *connection)
{
    uint8_t start[16];
    ev_ssize_t size = evbuffer_copyout(connection->wire, start, sizeof start);
    switch (size <= 0 ? BFR_PROXY_MORE : bfr_proxy_sniff(start, (size_t)size)) {
    case BFR_PROXY_MORE:
        return false;
    case BFR_PROXY_BAD:
        connection->front = BFR_FRONT_NONE;
        return true;
    default:
        turn_away(connection, BFR_CLOSE_PROXY_UNTRUSTED,
                  "connection refused: a PROXY header from an address that is not in webhook.proxy_protocol.trusted",
                  "not trusted");
        return false;
    }
}

// ---- TLS ----

static bool is_plain(struct bfr_http_connection *connection)
{
    uint8_t first;
    return evbuffer_copyout(connection->wire, &first, 1) == 1 && first != TLS_HANDSHAKE;
}

void bfr_front_push(struct bfr_http_connection *connection)
{
    if (evbuffer_get_length(bufferevent_get_output(connection->bev)) > 0)
        bufferevent_enable(connection->bev, EV_WRITE);
}

static bool refuse_plain(struct bfr_http_connection *connection)
{
    evbuffer_add(bufferevent_get_output(connection->bev), speak_tls, sizeof speak_tls - 1);
    turn_away(connection, BFR_CLOSE_PLAIN_HTTP, "connection refused: plain HTTP on the port that speaks TLS",
              "no TLS handshake");
    return false;
}

static bool decrypt(struct bfr_http_connection *connection)
{
    bool greeting = connection->phase == BFR_CONNECTION_GREETING;
    enum bfr_tls_state state = bfr_tls_receive(connection);
    if (state == BFR_TLS_FAILED && greeting) {
        turn_away(connection, BFR_CLOSE_HANDSHAKE, "connection refused: TLS handshake failed", bfr_tls_failure());
        return false;
    }
    bfr_front_push(connection);
    if (state == BFR_TLS_FAILED) {
        bfr_connection_kill(connection);
        return false;
    }
    connection->ended = state == BFR_TLS_ENDED;
    return true;
}

// ---- both ----

bool bfr_front_begin(struct bfr_http_connection *connection)
{
    struct bfr_http_shared *shared = connection->loop->shared;
    connection->front = BFR_FRONT_NONE;
    if (shared->trusted_count > 0)
        connection->front = is_trusted(shared, &connection->peer) ? BFR_FRONT_HEADER : BFR_FRONT_SNIFF;
    if (shared->tls == NULL && connection->front == BFR_FRONT_NONE)
        return true;
    connection->wire = evbuffer_new();
    return connection->wire != NULL && (shared->tls == NULL || bfr_tls_begin(connection));
}

// The greeting is over as soon as only HTTP can follow.
static void greet(struct bfr_http_connection *connection)
{
    if (connection->phase != BFR_CONNECTION_GREETING || (connection->ssl != NULL && !bfr_tls_is_ready(connection)))
        return;
    bfr_connection_rest(connection);
}

bool bfr_front_receive(struct bfr_http_connection *connection)
{
    if (connection->front == BFR_FRONT_HEADER && !take_header(connection))
        return false;
    if (connection->front == BFR_FRONT_SNIFF && !look_for_header(connection))
        return false;
    if (connection->ssl != NULL) {
        if (connection->phase == BFR_CONNECTION_GREETING && !connection->spoke_tls && is_plain(connection))
            return refuse_plain(connection);
        connection->spoke_tls = connection->spoke_tls || evbuffer_get_length(connection->wire) > 0;
        if (!decrypt(connection))
            return false;
    } else if (evbuffer_add_buffer(connection->raw, connection->wire) != 0) {
        bfr_connection_kill(connection);
        return false;
    }
    greet(connection);
    return true;
}
