// SPDX-License-Identifier: Apache-2.0
// GET /api/v1/tail: what is accepted, line by line, for as long as the client stays. All of it runs on the admin thread.
#ifndef BFR_CORE_HTTP_ADMIN_TAIL_H
#define BFR_CORE_HTTP_ADMIN_TAIL_H

#include <stdbool.h>

struct bfr_admin_tails;
struct bfr_http_admin;

struct bfr_admin_tails *bfr_admin_tails_new(struct bfr_http_admin *admin); // NULL: memory is short
// The loop has ended; before evhttp_free, which frees the requests. NULL is allowed.
void bfr_admin_tails_free(struct bfr_admin_tails *tails);

// Tell them what is left and end them all; new ones are refused. `on_ended` runs when all that could be sent is out. False:
// there is none. [admin]
bool bfr_admin_tails_end(struct bfr_admin_tails *tails, void (*on_ended)(void *arg), void *arg);

#endif
