// SPDX-License-Identifier: Apache-2.0
// The exchange of requests and replies on a connection. All calls [loop].
#ifndef BFR_CORE_HTTP_EXCHANGE_H
#define BFR_CORE_HTTP_EXCHANGE_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "http_connection.h"

// The socket has something to read, in a phase that reads.
void bfr_exchange_read(struct bfr_http_connection *connection);
// The bufferevent's write and event callbacks: the output is empty; the client is gone.
void bfr_exchange_written(struct bufferevent *bev, void *arg);
void bfr_exchange_event(struct bufferevent *bev, short what, void *arg);

// Mail for its request came.
void bfr_exchange_mail(struct bfr_http_connection *connection);
// STARVED, and the budget may have room again. True when it went on.
bool bfr_exchange_feed(struct bfr_http_connection *connection);
// STARVED or WAIT, for too long.
void bfr_exchange_expire(struct bfr_http_connection *connection);

#endif
