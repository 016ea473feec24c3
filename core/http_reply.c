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

// Not printf: it would be the most expensive part of a small request.
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

static void add_decimal(struct bfr_reply *reply, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    add_bytes(reply, digits + at, sizeof digits - at);
}

// A JSON string: quotes, backslashes and tabs escaped; the gate lets no other control pass, and the rest is UTF-8 already.
static void add_string(struct bfr_reply *reply, const char *text)
{
    add(reply, "\"");
    while (*text != '\0') {
        size_t plain = strcspn(text, "\"\\\t");
        add_bytes(reply, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        add(reply, *text == '\t' ? "\\t" : *text == '"' ? "\\\"" : "\\\\");
        text++;
    }
    add(reply, "\"");
}

static void add_name(struct bfr_reply *reply, const char *name)
{
    add(reply, ",\"");
    add(reply, name);
    add(reply, "\":");
}

static void add_member(struct bfr_reply *reply, const char *name, const char *text)
{
    add_name(reply, name);
    add_string(reply, text);
}

static void add_number(struct bfr_reply *reply, const char *name, uint64_t value)
{
    add_name(reply, name);
    add_decimal(reply, value);
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

static void build_success(const struct bfr_http_request *request, struct bfr_reply *out)
{
    const struct bfr_meta *meta = &request->meta;
    uint64_t now = bfr_shared_now(request->shared);
    char created[32];
    bfr_time_format(meta->created_ns, created);

    out->content_type = "application/json";
    add(out, "{\"status\":\"success\"");
    add_member(out, "tenant_id", request->target.tenant);
    add_member(out, "dataset_id", request->target.dataset);
    add_number(out, "bytes_received", meta->original_bytes);
    add_number(out, "bytes_processed", request->body.stored_bytes);
    add(out, ",\"storage_mode\":\"queue\"");
    add_member(out, "queue_file", request->filename);
    add_member(out, "file_id", request->filename);
    add_number(out, "lines_original", meta->line_count);
    add_number(out, "lines_processed", meta->line_count);
    add_number(out, "processing_time_ms", (now - request->begun_ns) / BFR_NS_PER_MS);
    add_member(out, "format_detected", meta->data_hint);
    add_member(out, "content_type", meta->content_type);
    add_member(out, "batch_id", meta->batch_id);
    add_member(out, "created_at", created);
    add_member(out, "message", success_text(request->success));
    add_member(out, "filename_source", request->name_made ? "generated" : "proxy");
    if (request->success == BFR_SUCCESS_DUPLICATE)
        add(out, ",\"duplicate\":true");
    if (request->success == BFR_SUCCESS_TEST)
        add(out, ",\"test\":true");
    add(out, "}\n");
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
    add(out, "{\"type\":\"about:blank\"");
    add_member(out, "title", bfr_status_phrase(info->status));
    add_number(out, "status", info->status);
    add_member(out, "detail", info->text);
    add_member(out, "reason", info->label);
    add(out, "}\n");
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

static void put_field(struct head *head, const char *name, const char *value)
{
    put(head, name, strlen(name));
    put(head, ": ", 2);
    put(head, value, strlen(value));
    put(head, "\r\n", 2);
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
    const struct bfr_number status = bfr_num(reply->status);
    const char *phrase = bfr_status_phrase(reply->status);
    put(head, "HTTP/1.1 ", 9);
    put(head, status.text, strlen(status.text));
    put(head, " ", 1);
    put(head, phrase, strlen(phrase));
    put(head, "\r\n", 2);
    put_field(head, "Content-Type", reply->content_type);
    put_field(head, "Content-Length", bfr_num((int64_t)reply->size).text);
    if (reply->nosniff)
        put_field(head, "X-Content-Type-Options", "nosniff");
    if (reply->retry_after_s > 0)
        put_field(head, "Retry-After", bfr_num(reply->retry_after_s).text);
    if (reply->challenge)
        put_field(head, "WWW-Authenticate", "Bearer");
    if (reply->allow != NULL)
        put_field(head, "Allow", reply->allow);
    put_field(head, "Date", date_now());
    if (close)
        put_field(head, "Connection", "close");
    put(head, "\r\n", 2);
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
