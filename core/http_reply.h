// SPDX-License-Identifier: Apache-2.0
// The reply to a request: what it says, and its bytes.
#ifndef BFR_CORE_HTTP_REPLY_H
#define BFR_CORE_HTTP_REPLY_H

#include <event2/buffer.h>

#include "http_request.h"

#define BFR_REPLY_BODY_MAX 4096

struct bfr_reply {
    uint16_t status;
    uint32_t retry_after_s; // 0 = no such field
    const char *content_type;
    const char *allow; // NULL = no such field
    bool challenge;    // WWW-Authenticate: Bearer
    bool nosniff;
    bool bodiless; // to HEAD: all fields, no content
    size_t size;
    char body[BFR_REPLY_BODY_MAX];
};

void bfr_reply_build(const struct bfr_http_request *request, struct bfr_reply *out);

// The reply as bytes; `close`: with Connection: close. False when memory is short.
bool bfr_reply_write(const struct bfr_reply *reply, struct evbuffer *out, bool close);

#endif
