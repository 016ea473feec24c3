// SPDX-License-Identifier: Apache-2.0
// TLS on one connection of the webhook, between the socket's bytes and the gate's. libevent sees a plain
// connection: what comes is decrypted before the gate looks, a reply is encrypted before it is sent. So
// deadlines, pauses, refusals and the end of a connection are the same code with TLS and without. All calls [loop].
#ifndef BFR_CORE_HTTP_TLS_H
#define BFR_CORE_HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;
struct bfr_http_connection;

enum bfr_tls_state {
    BFR_TLS_OPEN = 1, // more may come
    BFR_TLS_ENDED,    // the client has said that it sends no more
    BFR_TLS_FAILED    // handshake or record is wrong; what the client is to be told lies in the output
};

// Give the connection a session. False when memory is short.
bool bfr_tls_begin(struct bfr_http_connection *connection);
void bfr_tls_end(struct bfr_http_connection *connection);

// Decrypt what lies in `wire`, all of it, into `raw`; less than one record stays.
enum bfr_tls_state bfr_tls_receive(struct bfr_http_connection *connection);
bool bfr_tls_is_ready(const struct bfr_http_connection *connection); // the handshake is over

// Encrypt all of `plain` into the bufferevent's output. With `last`, followed by the word that no more will come.
bool bfr_tls_send(struct bfr_http_connection *connection, struct evbuffer *plain, bool last);
// The same for what was put into the output behind its first `before` bytes.
bool bfr_tls_seal(struct bfr_http_connection *connection, size_t before, bool last);
// Say that no more will come, if it can be said at once.
void bfr_tls_farewell(struct bfr_http_connection *connection);

// Why it failed, for a log. Static or the thread's own text, until the next call.
const char *bfr_tls_failure(void);

#endif
