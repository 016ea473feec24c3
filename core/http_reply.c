// SPDX-License-Identifier: Apache-2.0
// Success as the JSON object that senders' scripts know; errors as one text line, or as problem JSON (RFC 9457) when the
// client accepts nothing else. No allocation: every text that enters a reply has a bounded length.
#include "http_reply.h"

#include <string.h>
#include <time.h>

#include <event2/util.h>

#include <bfr/text.h>

#include "bug.h"

#define RETRY_AFTER_S 5

// ---- text ----

// The body or the head of a reply; the room is enough for the longest.
struct text {
    char *at;
    size_t size;
    size_t room;
};

static void add_bytes(struct text *to, const char *text, size_t size)
{
    bfr_must(size <= to->room - to->size);
    memcpy(to->at + to->size, text, size);
    to->size += size;
}

static void add(struct text *to, const char *text)
{
    add_bytes(to, text, strlen(text));
}

// Of a text that is known when this is compiled.
#define ADD(to, literal) add_bytes(to, literal, sizeof(literal) - 1)

// Not printf: it would be the most expensive part of a small request.
static void add_decimal(struct text *to, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    add_bytes(to, digits + at, sizeof digits - at);
}

static const char *escape(char c)
{
    return c == '\t' ? "\\t" : c == '"' ? "\\\"" : "\\\\";
}

// A JSON string: quotes, backslashes and tabs escaped; the gate lets no other control pass, and the rest is UTF-8 already.
static void add_string(struct text *to, const char *text)
{
    size_t size = strlen(text);
    ADD(to, "\"");
    for (size_t plain; (plain = strcspn(text, "\"\\\t")) < size; size -= plain + 1) {
        add_bytes(to, text, plain);
        add(to, escape(text[plain]));
        text += plain + 1;
    }
    add_bytes(to, text, size);
    ADD(to, "\"");
}

// An id or a file name: what was accepted as one holds nothing that JSON escapes.
static void add_plain(struct text *to, const char *text)
{
    ADD(to, "\"");
    add(to, text);
    ADD(to, "\"");
}

// ---- success ----

static const char *success_text(enum bfr_request_success success)
{
    switch (success) {
    case BFR_SUCCESS_TEST:
        return "connectivity test passed, nothing was stored";
    case BFR_SUCCESS_DUPLICATE:
        return "this batch had been accepted before";
    default:
        return "batch accepted";
    }
}

// Batches come with times of the same second, or nearly, and formatting one takes longer than all the rest of a reply. Each
// loop has its own.
static const char *format_time(int64_t unix_ns)
{
    static _Thread_local char text[32];
    static _Thread_local int64_t made = INT64_MIN;
    int64_t second = unix_ns / (int64_t)BFR_NS_PER_S;
    if (second != made) {
        bfr_time_format(unix_ns, text);
        made = second;
    }
    return text;
}

static void build_success(const struct bfr_http_request *request, struct bfr_reply *out, struct text *body)
{
    const struct bfr_meta *meta = &request->meta;
    uint64_t now = bfr_shared_now(request->shared);

    out->content_type = "application/json";
    ADD(body, "{\"status\":\"success\",\"tenant_id\":");
    add_plain(body, request->target.tenant);
    ADD(body, ",\"dataset_id\":");
    add_plain(body, request->target.dataset);
    ADD(body, ",\"bytes_received\":");
    add_decimal(body, meta->original_bytes);
    ADD(body, ",\"bytes_processed\":");
    add_decimal(body, request->body.stored_bytes);
    ADD(body, ",\"storage_mode\":\"queue\",\"queue_file\":");
    add_string(body, request->filename);
    ADD(body, ",\"file_id\":");
    add_string(body, request->filename);
    ADD(body, ",\"lines_original\":");
    add_decimal(body, meta->line_count);
    ADD(body, ",\"lines_processed\":");
    add_decimal(body, meta->line_count);
    ADD(body, ",\"processing_time_ms\":");
    add_decimal(body, (now - request->begun_ns) / BFR_NS_PER_MS);
    ADD(body, ",\"format_detected\":");
    add_string(body, meta->data_hint);
    ADD(body, ",\"content_type\":");
    add_string(body, meta->content_type);
    ADD(body, ",\"batch_id\":");
    add_string(body, meta->batch_id);
    ADD(body, ",\"created_at\":");
    add_plain(body, format_time(meta->created_ns));
    ADD(body, ",\"message\":");
    add_plain(body, success_text(request->success));
    ADD(body, ",\"filename_source\":");
    add_plain(body, request->name_made ? "generated" : "proxy");
    if (request->success == BFR_SUCCESS_DUPLICATE)
        ADD(body, ",\"duplicate\":true");
    if (request->success == BFR_SUCCESS_TEST)
        ADD(body, ",\"test\":true");
    ADD(body, "}\n");
}

// ---- refusal ----

static void build_refusal(const struct bfr_http_request *request, struct bfr_reply *out, struct text *body)
{
    const struct bfr_refusal_info *info = bfr_refusal_info(request->refusal);
    out->status = info->status;
    out->nosniff = true;
    if (info->status == 429 || info->status == 503)
        out->retry_after_s = request->retry_after_s > 0 ? request->retry_after_s : RETRY_AFTER_S;
    if (info->status == 401)
        out->challenge = true;
    if (info->status == 405)
        out->allow = bfr_route_allow(request->target.route);
    if (!request->json_only) {
        out->content_type = "text/plain; charset=utf-8";
        add(body, info->text);
        add(body, "\n");
        return;
    }
    out->content_type = "application/problem+json";
    ADD(body, "{\"type\":\"about:blank\",\"title\":");
    add_string(body, bfr_status_phrase(info->status));
    ADD(body, ",\"status\":");
    add_decimal(body, info->status);
    ADD(body, ",\"detail\":");
    add_string(body, info->text);
    ADD(body, ",\"reason\":");
    add_string(body, info->label);
    ADD(body, "}\n");
}

void bfr_reply_build(const struct bfr_http_request *request, struct bfr_reply *out)
{
    struct text body = {out->body, 0, sizeof out->body};
    memset(out, 0, offsetof(struct bfr_reply, body));
    out->status = 200;
    out->bodiless = request->gate.method == BFR_METHOD_HEAD;
    if (request->refusal != BFR_REFUSE_NONE) {
        build_refusal(request, out, &body);
    } else if (request->success == BFR_SUCCESS_HEALTH) {
        out->content_type = "application/json";
        add(&body, "{\"status\":\"ok\",\"service\":\"webhook\"}\n");
    } else {
        build_success(request, out, &body);
    }
    out->size = body.size;
}

// ---- bytes ----

#define HEAD_MAX 512 // the fields below with their longest values take about 300

// Behind the line before it.
static void add_field(struct text *head, const char *name, const char *value)
{
    add(head, name);
    add(head, value);
}

// Formatting the date takes longer than all the rest of a head: once a second is enough. Each loop has its own.
static const char *date_now(void)
{
    static _Thread_local char text[50];
    static _Thread_local time_t made;
    time_t now = time(NULL);
    if (now != made) {
        evutil_date_rfc1123(text, sizeof text, NULL);
        made = now;
    }
    return text;
}

static void add_head(struct text *head, const struct bfr_reply *reply, bool close)
{
    ADD(head, "HTTP/1.1 ");
    add_decimal(head, reply->status);
    ADD(head, " ");
    add(head, bfr_status_phrase(reply->status));
    add_field(head, "\r\nContent-Type: ", reply->content_type);
    ADD(head, "\r\nContent-Length: ");
    add_decimal(head, reply->size);
    if (reply->nosniff)
        ADD(head, "\r\nX-Content-Type-Options: nosniff");
    if (reply->retry_after_s > 0) {
        ADD(head, "\r\nRetry-After: ");
        add_decimal(head, reply->retry_after_s);
    }
    if (reply->challenge)
        ADD(head, "\r\nWWW-Authenticate: Bearer");
    if (reply->allow != NULL)
        add_field(head, "\r\nAllow: ", reply->allow);
    add_field(head, "\r\nDate: ", date_now());
    if (close)
        ADD(head, "\r\nConnection: close");
    ADD(head, "\r\n\r\n");
}

bool bfr_reply_write(const struct bfr_reply *reply, struct evbuffer *out, bool close)
{
    char room_of_head[HEAD_MAX];
    struct text head = {room_of_head, 0, sizeof room_of_head};
    add_head(&head, reply, close);
    size_t content = reply->bodiless ? 0 : reply->size;
    struct evbuffer_iovec room; // one piece: one segment of memory, and one record with TLS
    if (evbuffer_reserve_space(out, (ev_ssize_t)(head.size + content), &room, 1) != 1)
        return false;
    memcpy(room.iov_base, head.at, head.size);
    memcpy((char *)room.iov_base + head.size, reply->body, content);
    room.iov_len = head.size + content;
    return evbuffer_commit_space(out, &room, 1) == 0;
}
