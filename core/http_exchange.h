// SPDX-License-Identifier: Apache-2.0
// The exchange of requests and replies on a connection. All calls [loop].
#ifndef BFR_CORE_HTTP_EXCHANGE_H
#define BFR_CORE_HTTP_EXCHANGE_H

#include <event2/buffer.h>
#include <event2/http.h>

#include "http_connection.h"

// The callback on the bufferevent's input; `arg` is the connection.
void bfr_exchange_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg);
// evhttp's general handler; `arg` is the loop.
void bfr_exchange_handle(struct evhttp_request *from, void *arg);

// Mail for its request came.
void bfr_exchange_mail(struct bfr_http_connection *connection);
// STARVED, and the budget may have room again. True when it went on.
bool bfr_exchange_feed(struct bfr_http_connection *connection);
// STARVED or WAIT, for too long.
void bfr_exchange_expire(struct bfr_http_connection *connection);

#endif
