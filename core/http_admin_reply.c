// SPDX-License-Identifier: Apache-2.0
// Replies of the API port: status, the headers that every page has, and the body, which HEAD does not get. Runs on the
// admin thread only.
#include "http_admin_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

#include "utf8.h"

static void add_header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static void free_body(const void *body, size_t size, void *arg)
{
    (void)body, (void)size;
    free(arg);
}

// evhttp does not read a body that comes with HEAD, TRACE or a method it does not know, but would take it for the next
// request: so there is none.
static bool has_unread_body(struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    const char *length = evhttp_find_header(headers, "Content-Length");
    return evbuffer_get_length(evhttp_request_get_input_buffer(request)) == 0 &&
           ((length != NULL && strcmp(length, "0") != 0) || evhttp_find_header(headers, "Transfer-Encoding") != NULL);
}

static void add_common_headers(struct evhttp_request *request, const char *content_type)
{
    add_header(request, "Content-Type", content_type);
    add_header(request, "Cache-Control", "no-store");
    add_header(request, "X-Content-Type-Options", "nosniff");
}

// The length is given by hand, because evhttp leaves it out for HEAD.
static void add_headers(struct evhttp_request *request, const char *content_type, size_t size)
{
    char length[24];
    snprintf(length, sizeof length, "%zu", size);
    add_common_headers(request, content_type);
    add_header(request, "Content-Length", length);
    if (has_unread_body(request))
        add_header(request, "Connection", "close");
}

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {{200, "OK"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {415, "Unsupported Media Type"},
                   {422, "Unprocessable Content"},
                   {500, "Internal Server Error"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "Unknown";
}

void bfr_admin_reply_body(struct evhttp_request *request, int status, const char *content_type, char *body, size_t size)
{
    struct evbuffer *out = evhttp_request_get_output_buffer(request);
    bool head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
    if (body != NULL && !head && evbuffer_add_reference(out, body, size, free_body, body) != 0) {
        free(body);
        body = NULL;
    }
    if (body == NULL) {
        add_headers(request, content_type, 0);
        evhttp_send_reply(request, 500, reason_phrase(500), NULL);
        return;
    }
    add_headers(request, content_type, size);
    evhttp_send_reply(request, status, reason_phrase(status), NULL);
    if (head)
        free(body);
}

bool bfr_admin_reply_stream(struct evhttp_request *request, const char *content_type)
{
    bool body = evhttp_request_get_command(request) != EVHTTP_REQ_HEAD;
    add_common_headers(request, content_type);
    add_header(request, "Connection", "close");
    if (body)
        evhttp_send_reply_start(request, 200, reason_phrase(200));
    else
        evhttp_send_reply(request, 200, reason_phrase(200), NULL);
    return body;
}

void bfr_admin_reply_text(struct evhttp_request *request, int status, const char *text)
{
    char *line = NULL;
    int size = asprintf(&line, "%s\n", text);
    if (size < 0)
        line = NULL;
    bfr_admin_reply_body(request, status, "text/plain; charset=utf-8", line, size < 0 ? 0 : (size_t)size);
}

void bfr_admin_reply_json(struct evhttp_request *request, int status, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    bfr_admin_reply_body(request, status, "application/json", text, text != NULL ? strlen(text) : 0);
}

// json_string refuses what is not UTF-8; a reply must not fail for what a plugin said or a client sent.
json_t *bfr_admin_text(const char *text)
{
    json_t *value = json_string(text);
    char *clean = value == NULL ? malloc(strlen(text) * strlen(BFR_UTF8_REPLACEMENT) + 1) : NULL;
    if (clean == NULL)
        return value;
    char *end = clean;
    while (*text != '\0') {
        uint32_t code;
        size_t size = bfr_utf8_read(text, &code);
        end = mempcpy(end, size == 0 ? BFR_UTF8_REPLACEMENT : text, size == 0 ? strlen(BFR_UTF8_REPLACEMENT) : size);
        text += size == 0 ? 1 : size;
    }
    *end = '\0';
    value = json_string(clean);
    free(clean);
    return value;
}

void bfr_admin_reply_error(struct evhttp_request *request, int status, const char *error)
{
    if (status == 401)
        add_header(request, "WWW-Authenticate", "Bearer");
    bfr_admin_reply_json(request, status, json_pack("{s:o, s:i}", "error", bfr_admin_text(error), "status", status));
}
