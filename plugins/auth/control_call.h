// SPDX-License-Identifier: Apache-2.0
// One GET to the control service, and what its status means. Any thread; keeps nothing.
#ifndef BFR_AUTH_CONTROL_CALL_H
#define BFR_AUTH_CONTROL_CALL_H

#include "control.h"

#define CONTROL_REPLY_MAX  (16u << 20)
#define CONTROL_HEADER_MAX 4200 // "Authorization: Bearer " and a token
#define CONTROL_PATH_MAX   320

enum control_answer {
    CONTROL_OK = 1,
    CONTROL_GONE = 2,      // 404, 410
    CONTROL_NO_KEY = 3,    // 401
    CONTROL_FORBIDDEN = 4, // 403
    CONTROL_BUSY = 5,      // 429
    CONTROL_FAILED = 6     // anything else
};

enum control_answer bfr_control_answer(const struct bfr_http_reply *reply);
// One clause for people, into `out`: what came instead of an answer.
void bfr_control_answer_text(const struct bfr_http_reply *reply, char *out, size_t room);

// GET {url}{path} with the header `authorization` (NULL: none). As bfr_http_submit.
BFR_MUST_CHECK uint32_t bfr_control_get(const struct control *control, const char *path, const char *authorization,
                                        uint32_t timeout_ms,
                                        void (*on_done)(void *arg, const struct bfr_http_reply *reply), void *arg);

#endif
