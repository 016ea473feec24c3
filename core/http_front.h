// SPDX-License-Identifier: Apache-2.0
// What stands in front of the first byte of HTTP: the PROXY header of a balancer, then the handshake of TLS; and, for as
// long as there is TLS, the way of every byte from `wire` to `raw`. All calls [loop].
#ifndef BFR_CORE_HTTP_FRONT_H
#define BFR_CORE_HTTP_FRONT_H

#include "http_connection.h"

// What a connection from `connection->peer` has in front of it. False when memory is short.
bool bfr_front_begin(struct bfr_http_connection *connection);

// Bytes came and lie in `wire`: bring what is HTTP to `raw`. False: the connection is being ended.
bool bfr_front_receive(struct bfr_http_connection *connection);

// Send what lies in the output ahead of a reply: TLS's own, or 100 Continue.
void bfr_front_push(struct bfr_http_connection *connection);

#endif
