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

#define DIGITS_MAX 20

// Not printf: it would be the most expensive part of a small request.
static const char *write_digits(uint64_t value, char room[DIGITS_MAX], size_t *out_size)
{
    size_t at = DIGITS_MAX;
    do
        room[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    *out_size = DIGITS_MAX - at;
    return room + at;
}

static void add_bytes(struct bfr_reply *reply, const char *text, size_t size)
{
    bfr_must(size <= sizeof reply->body - reply->size);
    memcpy(reply->body + reply->size, text, size);
    reply->size += size;
}

static void add(struct bfr_reply *reply, const char *text)
{
    add_bytes(reply, text, strlen(text));
}

// Of a text that is known when this is compiled.
#define ADD(reply, literal) add_bytes(reply, literal, sizeof(literal) - 1)

static void add_decimal(struct bfr_reply *reply, uint64_t value)
{
    char room[DIGITS_MAX];
    size_t size;
    const char *digits = write_digits(value, room, &size);
    add_bytes(reply, digits, size);
}

static const char *escape(char c)
{
    return c == '\t' ? "\\t" : c == '"' ? "\\\"" : "\\\\";
}

// A JSON string: quotes, backslashes and tabs escaped; the gate lets no other control pass, and the rest is UTF-8 already.
static void add_string(struct bfr_reply *reply, const char *text)
{
    size_t size = strlen(text);
    ADD(reply, "\"");
    for (size_t plain; (plain = strcspn(text, "\"\\\t")) < size; size -= plain + 1) {
        add_bytes(reply, text, plain);
        add(reply, escape(text[plain]));
        text += plain + 1;
    }
    add_bytes(reply, text, size);
    ADD(reply, "\"");
}

// An id or a file name: what was accepted as one holds nothing that JSON escapes.
static void add_plain(struct bfr_reply *reply, const char *text)
{
    ADD(reply, "\"");
    add(reply, text);
    ADD(reply, "\"");
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

static void build_success(const struct bfr_http_request *request, struct bfr_reply *out)
{
    const struct bfr_meta *meta = &request->meta;
    uint64_t now = bfr_shared_now(request->shared);

    out->content_type = "application/json";
    ADD(out, "{\"status\":\"success\",\"tenant_id\":");
    add_plain(out, request->target.tenant);
    ADD(out, ",\"dataset_id\":");
    add_plain(out, request->target.dataset);
    ADD(out, ",\"bytes_received\":");
    add_decimal(out, meta->original_bytes);
    ADD(out, ",\"bytes_processed\":");
    add_decimal(out, request->body.stored_bytes);
    ADD(out, ",\"storage_mode\":\"queue\",\"queue_file\":");
    add_string(out, request->filename);
    ADD(out, ",\"file_id\":");
    add_string(out, request->filename);
    ADD(out, ",\"lines_original\":");
    add_decimal(out, meta->line_count);
    ADD(out, ",\"lines_processed\":");
    add_decimal(out, meta->line_count);
    ADD(out, ",\"processing_time_ms\":");
    add_decimal(out, (now - request->begun_ns) / BFR_NS_PER_MS);
    ADD(out, ",\"format_detected\":");
    add_string(out, meta->data_hint);
    ADD(out, ",\"content_type\":");
    add_string(out, meta->content_type);
    ADD(out, ",\"batch_id\":");
    add_string(out, meta->batch_id);
    ADD(out, ",\"created_at\":");
    add_plain(out, format_time(meta->created_ns));
    ADD(out, ",\"message\":");
    add_plain(out, success_text(request->success));
    ADD(out, ",\"filename_source\":");
    add_plain(out, request->name_made ? "generated" : "proxy");
    if (request->success == BFR_SUCCESS_DUPLICATE)
        ADD(out, ",\"duplicate\":true");
    if (request->success == BFR_SUCCESS_TEST)
        ADD(out, ",\"test\":true");
    ADD(out, "}\n");
}

// ---- refusal ----

static void build_refusal(const struct bfr_http_request *request, struct bfr_reply *out)
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
        add(out, info->text);
        add(out, "\n");
        return;
    }
    out->content_type = "application/problem+json";
    ADD(out, "{\"type\":\"about:blank\",\"title\":");
    add_string(out, bfr_status_phrase(info->status));
    ADD(out, ",\"status\":");
    add_decimal(out, info->status);
    ADD(out, ",\"detail\":");
    add_string(out, info->text);
    ADD(out, ",\"reason\":");
    add_string(out, info->label);
    ADD(out, "}\n");
}

void bfr_reply_build(const struct bfr_http_request *request, struct bfr_reply *out)
{
    memset(out, 0, offsetof(struct bfr_reply, body));
    out->status = 200;
    out->bodiless = request->gate.method == BFR_METHOD_HEAD;
    if (request->refusal != BFR_REFUSE_NONE) {
        build_refusal(request, out);
    } else if (request->success == BFR_SUCCESS_HEALTH) {
        out->content_type = "application/json";
        add(out, "{\"status\":\"ok\",\"service\":\"webhook\"}\n");
    } else {
        build_success(request, out);
    }
}

// ---- bytes ----

#define HEAD_MAX 512 // the fields below with their longest values take about 300

struct head {
    size_t size;
    char text[HEAD_MAX];
};

static void put(struct head *head, const char *text, size_t size)
{
    bfr_must(size <= sizeof head->text - head->size);
    memcpy(head->text + head->size, text, size);
    head->size += size;
}

#define PUT(head, literal) put(head, literal, sizeof(literal) - 1)

static void put_text(struct head *head, const char *text)
{
    put(head, text, strlen(text));
}

static void put_number(struct head *head, uint64_t value)
{
    char room[DIGITS_MAX];
    size_t size;
    const char *digits = write_digits(value, room, &size);
    put(head, digits, size);
}

// Behind the line before it.
static void put_field(struct head *head, const char *name, const char *value)
{
    put_text(head, name);
    put_text(head, value);
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

static void put_head(struct head *head, const struct bfr_reply *reply, bool close)
{
    PUT(head, "HTTP/1.1 ");
    put_number(head, reply->status);
    PUT(head, " ");
    put_text(head, bfr_status_phrase(reply->status));
    put_field(head, "\r\nContent-Type: ", reply->content_type);
    PUT(head, "\r\nContent-Length: ");
    put_number(head, reply->size);
    if (reply->nosniff)
        PUT(head, "\r\nX-Content-Type-Options: nosniff");
    if (reply->retry_after_s > 0) {
        PUT(head, "\r\nRetry-After: ");
        put_number(head, reply->retry_after_s);
    }
    if (reply->challenge)
        PUT(head, "\r\nWWW-Authenticate: Bearer");
    if (reply->allow != NULL)
        put_field(head, "\r\nAllow: ", reply->allow);
    put_field(head, "\r\nDate: ", date_now());
    if (close)
        PUT(head, "\r\nConnection: close");
    PUT(head, "\r\n\r\n");
}

bool bfr_reply_write(const struct bfr_reply *reply, struct evbuffer *out, bool close)
{
    struct head head;
    head.size = 0;
    put_head(&head, reply, close);
    size_t content = reply->bodiless ? 0 : reply->size;
    struct evbuffer_iovec room; // one piece: one segment of memory, and one record with TLS
    if (evbuffer_reserve_space(out, (ev_ssize_t)(head.size + content), &room, 1) != 1)
        return false;
    memcpy(room.iov_base, head.text, head.size);
    memcpy((char *)room.iov_base + head.size, reply->body, content);
    room.iov_len = head.size + content;
    return evbuffer_commit_space(out, &room, 1) == 0;
}
