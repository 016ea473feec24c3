/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP client for plugins, in the static library libbfr-http (libcurl's multi interface underneath, which this header
 * does not mention). One thread and one pool of connections for each client. Requests are submitted from any thread and
 * end with one call of `on_done` on the client's thread; nothing here blocks but start and stop. HTTP/1.1 only; no redirect
 * is followed, no environment variable is read, no cookie or login is kept.
 *
 *     create:  me->http = bfr_http_new(&(struct bfr_http_settings){.name = "mine", .max_connections = 8}, err);
 *     start:   return bfr_http_start(me->http, err);
 *     work:    bfr_http_submit(me->http, &(struct bfr_http_request){.method = "GET", .url = url, .on_done = done, ...});
 *     stop:    bfr_http_stop(me->http);
 *     destroy: bfr_http_free(me->http);
 *
 * Everything that runs on the client's thread is run one at a time: state touched only there needs no lock. What runs there
 * must not block.
 */
#ifndef BFR_HTTP_H
#define BFR_HTTP_H

#include "batch.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct bfr_http;
struct bfr_http_reply;

struct bfr_http_settings {
    const char *name;         /* of the thread; at most 15 bytes */
    const char *user_agent;   /* NULL: none is sent */
    const char *ca_file;      /* certificates to trust (PEM) instead of the system's; NULL or "": the system's */
    const char *proxy;        /* URL of a proxy, http or https; NULL or "": none */
    uint32_t max_connections; /* kept open while idle; at least 1 */

    /* Called on the client's thread, soon after bfr_http_wake; any number of wakes may become one call. May be NULL. */
    void (*on_wake)(void *arg);
    void *arg;
};

/* How a request ended. Zero is never valid. */
enum bfr_http_end {
    BFR_HTTP_REPLIED = 1,   /* a complete reply, whatever its status */
    BFR_HTTP_UNSENT = 2,    /* name, connection or TLS failed: the far end has seen nothing of the request */
    BFR_HTTP_BROKEN = 3,    /* the connection ended, or what came was no HTTP; the far end may have acted */
    BFR_HTTP_TIMED_OUT = 4, /* one of the timeouts passed; the far end may have acted */
    BFR_HTTP_TOO_LARGE = 5, /* the reply's body was longer than `reply_max`, or its headers without end */
    BFR_HTTP_STOPPED = 6    /* the client was stopped; the far end may have acted */
};

/* Flags of a request. */
#define BFR_HTTP_DIRECT UINT32_C(1) /* not through the proxy (metadata services of the machine) */
#define BFR_HTTP_ONCE                                                                                                  \
    UINT32_C(2) /* has a body, and must not be repeated unseen. Without this flag a request that finds its
                                     * kept connection closed before any reply goes out once more on a new one */

/* Everything but the body is copied by submit. The body is borrowed until on_done is called, and not copied. */
struct bfr_http_request {
    const char *method;
    const char *url;            /* http or https; sent exactly as given */
    const char *const *headers; /* "Name: value"; Host, Content-Length and the like are made here */
    size_t header_count;
    const struct bfr_span *body; /* `span_count` spans, none empty; the request has a body when has_body is set */
    size_t span_count;
    uint64_t body_bytes;
    bool has_body;
    uint32_t flags;              /* BFR_HTTP_* */
    uint32_t connect_timeout_ms; /* name, connection, TLS; 0: 10 s */
    uint32_t stall_timeout_ms;   /* without a byte either way; looked at once a second; 0: none */
    uint32_t timeout_ms;         /* for all of it; 0: none */
    size_t reply_max;            /* bytes of the reply's body to keep; more is BFR_HTTP_TOO_LARGE */

    /* Instead of keeping the body: called with each piece of it. False ends the request as TOO_LARGE. May be NULL. */
    bool (*on_body)(void *arg, const uint8_t *data, size_t size);
    /* Called once. `reply` is valid during the call. Other requests may be submitted from inside. Required. */
    void (*on_done)(void *arg, const struct bfr_http_reply *reply);
    void *arg;
};

struct bfr_http_reply {
    uint32_t end;    /* enum bfr_http_end */
    uint32_t status; /* of HTTP, when replied; else 0 */
    const uint8_t *body;
    size_t body_bytes;
    const char *text; /* unless replied: what happened, one clause for people; never NULL */
    const void *headers;
};

/* Copies the settings. NULL with err->text when memory is short or the proxy is no URL of one. [main, create] */
struct bfr_http *bfr_http_new(const struct bfr_http_settings *settings, struct bfr_err *err);

/* Start the thread: named, all signals blocked. [main] */
uint32_t bfr_http_start(struct bfr_http *http, struct bfr_err *err);

/* End every open request with BFR_HTTP_STOPPED, join the thread. Requests submitted from then on are refused. May be called
 * twice, and without a start. [main] */
void bfr_http_stop(struct bfr_http *http);

/* Stops if need be and frees; NULL is allowed. [main] */
void bfr_http_free(struct bfr_http *http);

/* Begin a request. BFR_OK: on_done will be called. BFR_ENOMEM, BFR_EINVAL (the URL), BFR_EFAIL (not running): it will not.
 * [any, started] */
BFR_MUST_CHECK uint32_t bfr_http_submit(struct bfr_http *http, const struct bfr_http_request *request);

/* Have on_wake called. Cheap, never fails. [any, started] */
void bfr_http_wake(struct bfr_http *http);

/* The value of a header of the reply by its name (any case), the last one if there are several; NULL without. Valid as long
 * as the reply. [client's thread, in on_done] */
const char *bfr_http_header(const struct bfr_http_reply *reply, const char *name);

#ifdef __cplusplus
}
#endif
#endif
