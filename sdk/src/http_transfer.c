// SPDX-License-Identifier: Apache-2.0
// See http_transfer.h: options of one easy handle, its callbacks, and what its end means. Keeps nothing between requests
// but the handle and its buffers.
#include "http_transfer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 10000
#define UPLOAD_BUFFER      (256 * 1024L)
#define SPEED_WINDOW_S     6 // libcurl's own notion of speed looks back so far
#define NS_PER_MS          UINT64_C(1000000)

// The one copy of a body on its way out: from its spans into libcurl's buffer.
static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
    struct bfr_http_transfer *transfer = arg;
    size_t room = size * count;
    size_t done = 0;

    while (done < room && transfer->span < transfer->span_count) {
        const struct bfr_span *span = &transfer->spans[transfer->span];
        size_t part = span->size - transfer->offset;
        if (part > room - done)
            part = room - done;
        memcpy(out + done, span->data + transfer->offset, part);
        done += part;
        transfer->offset += part;
        if (transfer->offset == span->size) {
            transfer->span++;
            transfer->offset = 0;
        }
    }
    return done;
}

// Asked for when a kept connection turns out to be closed and the request goes out again on a new one.
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct bfr_http_transfer *transfer = arg;

    if (transfer->once || origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->body_bytes)
        return CURL_SEEKFUNC_FAIL;
    size_t left = (size_t)offset;
    transfer->span = 0;
    while (transfer->span < transfer->span_count && left >= transfer->spans[transfer->span].size)
        left -= transfer->spans[transfer->span++].size;
    transfer->offset = left;
    return CURL_SEEKFUNC_OK;
}

// Called whenever libcurl looks at the transfer, which is once a second at least because its own low-speed limit is set.
static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct bfr_http_transfer *transfer = arg;
    struct timespec time;
    (void)down_total;
    (void)up_total;

    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t now_ns = (uint64_t)time.tv_sec * 1000 * NS_PER_MS + (uint64_t)time.tv_nsec;
    if (transfer->moved_ns == 0 || down + up != transfer->moved) {
        transfer->moved = down + up;
        transfer->moved_ns = now_ns;
    }
    transfer->stalled = now_ns - transfer->moved_ns >= transfer->stall_ns;
    return transfer->stalled;
}

static bool keep_body(struct bfr_http_transfer *transfer, const char *data, size_t size)
{
    if (size > transfer->reply_max - transfer->body_bytes_in) {
        transfer->too_large = true;
        return false;
    }
    if (size > transfer->body_room - transfer->body_bytes_in) {
        size_t room = transfer->body_bytes_in + size < 4096 ? 4096 : 2 * (transfer->body_bytes_in + size);
        uint8_t *body = realloc(transfer->body, room);
        if (body == NULL)
            return false;
        transfer->body = body;
        transfer->body_room = room;
    }
    memcpy(transfer->body + transfer->body_bytes_in, data, size);
    transfer->body_bytes_in += size;
    return true;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
    struct bfr_http_transfer *transfer = arg;

    if (transfer->on_body == NULL)
        return keep_body(transfer, data, size * count) ? size * count : 0;
    if (transfer->on_body(transfer->arg, (const uint8_t *)data, size * count))
        return size * count;
    transfer->too_large = true;
    return 0;
}

// A head that does not fit is cut: what is looked for stands early, and a header that is missing is handled. One without end
// ends here: libcurl would keep each line of it.
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct bfr_http_transfer *transfer = arg;
    size_t length = size * count;
    size_t kept = length;

    transfer->line_bytes += length;
    if (transfer->line_bytes > BFR_HTTP_LINES_MAX) {
        transfer->too_large = true;
        return 0;
    }
    if (length >= 5 && memcmp(data, "HTTP/", 5) == 0)
        transfer->head_bytes = 0; // after a 100 comes the real one
    while (kept > 0 && (data[kept - 1] == '\r' || data[kept - 1] == '\n'))
        kept--;
    if (kept > 0 && kept < sizeof transfer->head - transfer->head_bytes && memchr(data, '\0', kept) == NULL) {
        memcpy(transfer->head + transfer->head_bytes, data, kept);
        transfer->head_bytes += kept;
        transfer->head[transfer->head_bytes++] = '\0';
    }
    return length;
}

const char *bfr_http_header(const struct bfr_http_reply *reply, const char *name)
{
    const struct bfr_http_transfer *transfer = reply->headers;
    size_t length = strlen(name);
    const char *found = NULL;

    for (size_t at = 0; at < transfer->head_bytes; at += strlen(transfer->head + at) + 1) {
        const char *line = transfer->head + at;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            found = line + length + 1 + strspn(line + length + 1, " \t");
    }
    return found;
}

struct bfr_http_transfer *bfr_http_transfer_new(void)
{
    struct bfr_http_transfer *transfer = calloc(1, sizeof *transfer);

    if (transfer == NULL)
        return NULL;
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL) {
        free(transfer);
        return NULL;
    }
    return transfer;
}

void bfr_http_transfer_free(struct bfr_http_transfer *transfer)
{
    if (transfer == NULL)
        return;
    curl_slist_free_all(transfer->lines);
    curl_easy_cleanup(transfer->easy);
    free(transfer->body);
    free(transfer);
}

static bool add_line(struct bfr_http_transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->lines, line);

    if (longer == NULL)
        return false;
    transfer->lines = longer;
    return true;
}

// "Expect:" and "Transfer-Encoding:" without a value keep libcurl from adding its own.
static bool set_headers(struct bfr_http_transfer *transfer, const struct bfr_http_request *request)
{
    bool ok = add_line(transfer, "Expect:") && add_line(transfer, "Transfer-Encoding:");

    for (size_t i = 0; ok && i < request->header_count; i++)
        ok = add_line(transfer, request->headers[i]);
    return ok && curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->lines) == CURLE_OK;
}

static bool set_method(CURL *easy, const struct bfr_http_request *request)
{
    if (strcmp(request->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) != CURLE_OK)
        return false;
    if (!request->has_body)
        return true;
    return curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes) == CURLE_OK;
}

static void set_callbacks(struct bfr_http_transfer *transfer)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
}

static void set_limits(struct bfr_http_transfer *transfer, const struct bfr_http_request *request)
{
    CURL *easy = transfer->easy;
    long connect_ms = request->connect_timeout_ms != 0 ? (long)request->connect_timeout_ms : CONNECT_TIMEOUT_MS;

    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    transfer->stall_ns = request->stall_timeout_ms * NS_PER_MS;
    if (request->stall_timeout_ms != 0) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)request->stall_timeout_ms / 1000 + SPEED_WINDOW_S);
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    }
}

// An empty proxy, unlike none, keeps libcurl from asking the environment for one; likewise the list of exceptions.
static bool set_way(CURL *easy, const struct bfr_http_settings *settings, const struct bfr_http_request *request)
{
    const char *proxy = settings->proxy != NULL && (request->flags & BFR_HTTP_DIRECT) == 0 ? settings->proxy : "";
    bool ok = curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_PROXY, proxy) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;

    if (settings->ca_file != NULL && settings->ca_file[0] != '\0') {
        ok = ok && curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file) == CURLE_OK;
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (settings->user_agent != NULL)
        ok = ok && curl_easy_setopt(easy, CURLOPT_USERAGENT, settings->user_agent) == CURLE_OK;
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // A name that is still being looked up when its transfer ends must not hold the thread, with all other transfers.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (request->body_bytes > CURL_MAX_WRITE_SIZE)
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
    return ok;
}

// libcurl would say so only when the transfer runs; the caller wants to know before it has promised anything.
static bool url_is_good(const char *url)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL;
    bool ok = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
              curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    curl_url_cleanup(parsed);
    return ok;
}

uint32_t bfr_http_transfer_begin(struct bfr_http_transfer *transfer, const struct bfr_http_settings *settings,
                                 const struct bfr_http_request *request)
{
    if (!url_is_good(request->url))
        return BFR_EINVAL;
    transfer->spans = request->body;
    transfer->span_count = request->has_body ? request->span_count : 0;
    transfer->body_bytes = request->body_bytes;
    transfer->reply_max = request->reply_max;
    transfer->once = (request->flags & BFR_HTTP_ONCE) != 0;
    transfer->on_body = request->on_body;
    transfer->on_done = request->on_done;
    transfer->arg = request->arg;
    set_callbacks(transfer);
    set_limits(transfer, request);
    if (set_way(transfer->easy, settings, request) && set_method(transfer->easy, request) &&
        set_headers(transfer, request))
        return BFR_OK;
    bfr_http_transfer_reset(transfer);
    return BFR_ENOMEM;
}

void bfr_http_transfer_reset(struct bfr_http_transfer *transfer)
{
    curl_easy_reset(transfer->easy);
    curl_slist_free_all(transfer->lines);
    transfer->lines = NULL;
    transfer->error[0] = '\0';
    transfer->spans = NULL;
    transfer->span_count = transfer->span = transfer->offset = 0;
    transfer->moved_ns = 0;
    transfer->moved = 0;
    transfer->stalled = transfer->too_large = false;
    transfer->body_bytes_in = 0;
    transfer->head_bytes = transfer->line_bytes = 0;
}

// What libcurl's codes mean for the far end: could it have seen the request? Everything else may have reached it; an answer
// that is no HTTP is CURLE_UNSUPPORTED_PROTOCOL.
static const CURLcode unsent[] = {
    CURLE_COULDNT_RESOLVE_PROXY,
    CURLE_COULDNT_RESOLVE_HOST,
    CURLE_COULDNT_CONNECT,
    CURLE_SSL_CONNECT_ERROR,
    CURLE_PEER_FAILED_VERIFICATION,
    CURLE_SSL_CACERT_BADFILE,
    CURLE_SSL_CERTPROBLEM,
    CURLE_SSL_CIPHER,
    CURLE_PROXY,
};

static uint32_t end_of(const struct bfr_http_transfer *transfer, CURLcode code, bool stopped)
{
    curl_off_t connected_us = 0;

    if (stopped)
        return BFR_HTTP_STOPPED;
    if (code == CURLE_OK)
        return BFR_HTTP_REPLIED;
    if (transfer->too_large)
        return BFR_HTTP_TOO_LARGE;
    for (size_t i = 0; i < sizeof unsent / sizeof unsent[0]; i++)
        if (unsent[i] == code)
            return BFR_HTTP_UNSENT;
    if (code != CURLE_OPERATION_TIMEDOUT && !transfer->stalled)
        return BFR_HTTP_BROKEN;
    // A timeout before anything was ready to be sent: nothing was.
    curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    return connected_us == 0 ? BFR_HTTP_UNSENT : BFR_HTTP_TIMED_OUT;
}

void bfr_http_transfer_end(struct bfr_http_transfer *transfer, CURLcode code, bool stopped)
{
    struct bfr_http_reply reply = {
        .end = end_of(transfer, code, stopped),
        .body = transfer->body,
        .body_bytes = transfer->body_bytes_in,
        .text = stopped ? "the client was stopped" : "",
        .headers = transfer,
    };
    long status = 0;

    if (reply.end == BFR_HTTP_REPLIED) {
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        reply.status = (uint32_t)status;
    } else if (transfer->stalled) {
        reply.text = "no byte came or went for the stall timeout";
    } else if (transfer->too_large) {
        reply.text = "the reply is longer than can be right";
    } else if (!stopped) {
        reply.text = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
    }
    transfer->on_done(transfer->arg, &reply);
    bfr_http_transfer_reset(transfer);
}
