// SPDX-License-Identifier: Apache-2.0
// See control_call.h.
#include "control_call.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_MS 5000

enum control_answer bfr_control_answer(const struct bfr_http_reply *reply)
{
    if (reply->end != BFR_HTTP_REPLIED)
        return CONTROL_FAILED;
    switch (reply->status) {
    case 200:
        return CONTROL_OK;
    case 404:
    case 410:
        return CONTROL_GONE;
    case 401:
        return CONTROL_NO_KEY;
    case 403:
        return CONTROL_FORBIDDEN;
    case 429:
        return CONTROL_BUSY;
    default:
        return CONTROL_FAILED;
    }
}

void bfr_control_answer_text(const struct bfr_http_reply *reply, char *out, size_t room)
{
    switch (bfr_control_answer(reply)) {
    case CONTROL_NO_KEY:
    case CONTROL_FORBIDDEN:
        snprintf(out, room, "status %u: it does not accept the api_key", reply->status);
        break;
    case CONTROL_BUSY:
        snprintf(out, room, "status 429: it is asked too often; raise refresh_interval");
        break;
    default:
        if (reply->end == BFR_HTTP_REPLIED)
            snprintf(out, room, "status %u", reply->status);
        else
            snprintf(out, room, "%s", reply->text);
    }
}

uint32_t bfr_control_get(const struct control *control, const char *path, const char *authorization,
                         uint32_t timeout_ms, void (*on_done)(void *arg, const struct bfr_http_reply *reply), void *arg)
{
    const char *headers[] = {"Accept: application/json", "Content-Type: application/json", authorization};
    char *url = NULL;

    if (asprintf(&url, "%s%s", control->url, path) < 0)
        return BFR_ENOMEM;
    uint32_t status = bfr_http_submit(control->http, &(struct bfr_http_request){
                                                         .method = "GET",
                                                         .url = url,
                                                         .headers = headers,
                                                         .header_count = authorization == NULL ? 2 : 3,
                                                         .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                                         .timeout_ms = timeout_ms,
                                                         .reply_max = CONTROL_REPLY_MAX,
                                                         .on_done = on_done,
                                                         .arg = arg,
                                                     });
    free(url);
    return status;
}
