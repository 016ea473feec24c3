// SPDX-License-Identifier: Apache-2.0
// Admission and hand-over of one request. Everything reserved here is given back exactly once: by the batch when its last
// holder lets go, or by bfr_ingest_leave.
#include "http_ingest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bug.h"
#include "http_framing.h"
#include "log.h"

#define STEP_BYTES UINT64_C(65536) // how far ahead room and memory are reserved when a body grows

static enum bfr_step refuse(struct bfr_http_request *request, enum bfr_refusal refusal)
{
    request->refusal = refusal;
    return BFR_STEP_REPLY;
}

static enum bfr_step succeed(struct bfr_http_request *request, enum bfr_request_success success)
{
    request->success = success;
    return BFR_STEP_REPLY;
}

// ---- admission ----

static enum bfr_refusal check_headers(const struct bfr_gate *gate)
{
    for (unsigned i = BFR_HEADER_OTHER + 1; i < BFR_HEADER_COUNT; i++)
        if (gate->known[i].count > 1 && bfr_header_is_single(i))
            return BFR_REFUSE_DUPLICATE_HEADER;
    if (gate->known[BFR_HEADER_CONTENT_ENCODING].count > 1)
        return BFR_REFUSE_CONTENT_ENCODING;
    struct bfr_span encoding = bfr_gate_value(gate, BFR_HEADER_CONTENT_ENCODING);
    static const char *const accepted[] = {"", "gzip", "identity"};
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        if (encoding.size == strlen(accepted[i]) &&
            (encoding.size == 0 || strncasecmp((const char *)encoding.data, accepted[i], encoding.size) == 0))
            return BFR_REFUSE_NONE;
    return BFR_REFUSE_CONTENT_ENCODING;
}

// Generated names of one process never repeat, however coarse or jumpy the clock.
static int64_t next_name_ns(struct bfr_http_shared *shared)
{
    int64_t now = bfr_clock_wall(shared->setup.clock);
    int64_t last = atomic_load(&shared->last_name_ns);
    int64_t next;
    do
        next = now > last ? now : last + 1;
    while (!atomic_compare_exchange_weak(&shared->last_name_ns, &last, next));
    return next;
}

static enum bfr_refusal check_name(struct bfr_http_request *request)
{
    struct bfr_span name = bfr_gate_value(&request->gate, BFR_HEADER_FILENAME);
    if (name.size > 0)
        return bfr_name_check(&request->target, name, request->filename);
    if (request->gate.known[BFR_HEADER_TEST].count > 0) {
        request->test = true;
        return BFR_REFUSE_NONE;
    }
    request->name_made = true;
    bfr_name_make(&request->target, next_name_ns(request->shared), bfr_gate_text(&request->gate, BFR_HEADER_DATA_HINT),
                  request->filename);
    return BFR_REFUSE_NONE;
}

static bool wants_only_json(const struct bfr_gate *gate)
{
    struct bfr_span accept = bfr_gate_value(gate, BFR_HEADER_ACCEPT);
    const char *text = (const char *)accept.data;
    return accept.size > 0 && memmem(text, accept.size, "json", 4) != NULL &&
           memmem(text, accept.size, "*/*", 3) == NULL && memmem(text, accept.size, "text/", 5) == NULL;
}

// What the head alone can tell. Sets route, ids, name.
static enum bfr_refusal check_head(struct bfr_http_request *request)
{
    struct bfr_gate *gate = &request->gate;
    request->json_only = wants_only_json(gate);
    enum bfr_refusal refusal = bfr_target_parse(bfr_gate_target(gate), &request->target);
    if (refusal == BFR_REFUSE_NONE || refusal == BFR_REFUSE_ID) {
        enum bfr_refusal method = bfr_route_check(request->target.route, gate->method);
        if (method != BFR_REFUSE_NONE)
            refusal = method;
    }
    if (refusal != BFR_REFUSE_NONE || request->target.route == BFR_ROUTE_HEALTH)
        return refusal;
    refusal = check_headers(gate);
    if (refusal == BFR_REFUSE_NONE)
        refusal = check_name(request);
    if (refusal == BFR_REFUSE_NONE && gate->length > request->shared->setup.max_payload_bytes)
        refusal = BFR_REFUSE_TOO_LARGE;
    if (refusal == BFR_REFUSE_NONE && !gate->chunked && gate->length == 0 && !request->test)
        refusal = BFR_REFUSE_EMPTY_BODY;
    return refusal;
}

static enum bfr_refusal reserve_room(struct bfr_http_request *request, uint64_t bytes)
{
    uint32_t room = bfr_intake_reserve(request->shared->setup.pipeline, request->target.tenant, bytes);
    if (room == BFR_ROOM_OK) {
        request->room += bytes;
        return BFR_REFUSE_NONE;
    }
    return room == BFR_ROOM_SHARE ? BFR_REFUSE_TENANT_SHARE : BFR_REFUSE_SPOOL_FULL;
}

static bool take_memory(struct bfr_http_request *request, uint64_t bytes)
{
    if (!bfr_budget_take(request->shared->budget, bytes))
        return false;
    request->memory += bytes;
    return true;
}

static enum bfr_step admit_head(struct bfr_http_request *request)
{
    enum bfr_refusal refusal = check_head(request);
    if (refusal != BFR_REFUSE_NONE)
        return refuse(request, refusal);
    if (request->target.route == BFR_ROUTE_HEALTH)
        return succeed(request, BFR_SUCCESS_HEALTH);
    if (atomic_load(&request->shared->closing))
        return refuse(request, BFR_REFUSE_DRAINING);
    if (!request->test) {
        refusal = reserve_room(request, request->gate.chunked ? STEP_BYTES : request->gate.length);
        if (refusal != BFR_REFUSE_NONE)
            return refuse(request, refusal);
    }
    request->stage = BFR_AT_MEMORY;
    return BFR_STEP_GO;
}

static enum bfr_step admit_memory(struct bfr_http_request *request)
{
    uint64_t first = STEP_BYTES;
    if (!request->gate.chunked && request->gate.length < first)
        first = request->gate.length;
    if (request->test) // nothing of it is kept
        first = 0;
    if (!take_memory(request, first))
        return BFR_STEP_STARVE;
    request->stage = BFR_AT_RIGHTS;
    return BFR_STEP_GO;
}

// The answer came first, or the call returned first: exactly one of the two sees the other and goes on.
static void deliver(struct bfr_http_request *request)
{
    if (atomic_exchange(&request->turn, BFR_TURN_ANSWERED) == BFR_TURN_PENDING)
        bfr_mailbox_post(request->mailbox, &request->mail);
}

static bool answered_already(struct bfr_http_request *request)
{
    int asking = BFR_TURN_ASKING;
    return !atomic_compare_exchange_strong(&request->turn, &asking, BFR_TURN_PENDING);
}

// [any]
static void on_verdict(struct bfr_question *question, const struct bfr_verdict *verdict)
{
    struct bfr_http_request *request =
        (struct bfr_http_request *)((char *)question - offsetof(struct bfr_http_request, question));
    request->verdict = *verdict;
    deliver(request);
}

static enum bfr_step deny(struct bfr_http_request *request)
{
    switch (request->verdict.deny) {
    case BFR_DENY_TOKEN:
        return refuse(request, BFR_REFUSE_TOKEN);
    case BFR_DENY_FOREIGN:
        return refuse(request, BFR_REFUSE_FOREIGN);
    case BFR_DENY_TENANT_GONE:
        return refuse(request, BFR_REFUSE_TENANT_GONE);
    case BFR_DENY_DATASET_GONE:
        return refuse(request, BFR_REFUSE_DATASET_GONE);
    default: // a reason this host does not know is no proof that the batch can never be accepted
        return refuse(request, BFR_REFUSE_AUTH_UNKNOWN);
    }
}

static enum bfr_step judge(struct bfr_http_request *request, uint32_t decision)
{
    if (decision == BFR_DENY)
        return deny(request);
    if (decision != BFR_ALLOW) {
        request->retry_after_s = request->verdict.retry_after_s;
        return refuse(request, BFR_REFUSE_AUTH_UNKNOWN);
    }
    request->stage = BFR_AT_BODY;
    if (!bfr_body_begin(&request->body, request->test))
        return refuse(request, BFR_REFUSE_MEMORY);
    return BFR_STEP_GO;
}

static enum bfr_step ask_rights(struct bfr_http_request *request)
{
    struct bfr_request asked = {
        .size = sizeof asked,
        .flags = request->test && strcmp(request->target.dataset, "unknown") == 0 ? BFR_REQUEST_TENANT_ONLY : 0,
        .tenant = request->target.tenant,
        .dataset = request->target.dataset,
        .authorization = bfr_gate_value(&request->gate, BFR_HEADER_AUTHORIZATION),
        .peer = request->peer,
    };
    memset(&request->verdict, 0, sizeof request->verdict);
    request->verdict.size = sizeof request->verdict;
    request->question.on_verdict = on_verdict;
    atomic_store(&request->turn, BFR_TURN_ASKING);

    struct bfr_verdict verdict = request->verdict;
    uint32_t decision = bfr_auth_ask(request->shared->setup.auth, &asked, &request->question, &verdict);
    if (decision != BFR_LATER) {
        atomic_store(&request->turn, BFR_TURN_ANSWERED);
        request->verdict = verdict;
        return judge(request, decision);
    }
    return answered_already(request) ? judge(request, request->verdict.decision) : BFR_STEP_WAIT;
}

enum bfr_step bfr_ingest_admit(struct bfr_http_request *request)
{
    enum bfr_step step = BFR_STEP_GO;
    if (request->stage == BFR_AT_HEAD)
        step = admit_head(request);
    if (step == BFR_STEP_GO && request->stage == BFR_AT_MEMORY)
        step = admit_memory(request);
    if (step == BFR_STEP_GO && request->stage == BFR_AT_RIGHTS)
        step = ask_rights(request);
    return step;
}

// ---- the body ----

// Reserve up to `wanted` bytes in all, in steps, but not more than was declared.
static uint64_t next_reserve(const struct bfr_http_request *request, uint64_t wanted)
{
    uint64_t rounded = (wanted + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    return !request->gate.chunked && rounded > request->gate.length ? request->gate.length : rounded;
}

enum bfr_step bfr_ingest_grow(struct bfr_http_request *request, uint64_t size)
{
    uint64_t wanted = request->body.source_bytes + size;
    if (wanted > request->shared->setup.max_payload_bytes)
        return refuse(request, BFR_REFUSE_TOO_LARGE);
    if (request->test)
        return BFR_STEP_GO;
    if (wanted > request->room) {
        enum bfr_refusal refusal = reserve_room(request, next_reserve(request, wanted) - request->room);
        if (refusal != BFR_REFUSE_NONE)
            return refuse(request, refusal);
    }
    uint64_t needed = next_reserve(request, wanted);
    if (request->body.kind == BFR_BODY_PLAIN)
        needed += BFR_BODY_COMPRESSOR_BYTES;
    request->growing = size;
    if (needed > request->memory && !take_memory(request, needed - request->memory))
        return BFR_STEP_STARVE;
    return BFR_STEP_GO;
}

// What a batch holds on to after its request is gone.
struct held_body {
    struct evbuffer *bytes;
    struct bfr_budget *budget;
    uint64_t memory;
};

// [any] From the last release of the batch.
static void free_body(void *arg)
{
    struct held_body *held = arg;
    evbuffer_free(held->bytes);
    bfr_budget_give(held->budget, held->memory);
    bfr_budget_release(held->budget);
    free(held);
}

// Compressing may have made it smaller than declared, or, for noise, a little larger.
static enum bfr_refusal settle_room(struct bfr_http_request *request)
{
    uint64_t stored = request->body.stored_bytes;
    if (request->room < stored)
        return reserve_room(request, stored - request->room);
    if (request->room > stored)
        bfr_intake_release(request->shared->setup.pipeline, request->target.tenant, request->room - stored);
    request->room = stored;
    return BFR_REFUSE_NONE;
}

static void fill_batch(struct bfr_http_request *request, struct bfr_batch *batch)
{
    const struct bfr_body *body = &request->body;
    int64_t now_ns = bfr_clock_wall(request->shared->setup.clock);
    bfr_meta_read(&request->gate, body->source_bytes, now_ns, &request->meta);
    batch->size = sizeof *batch;
    batch->flags = (body->kind == BFR_BODY_PLAIN ? BFR_BATCH_COMPRESSED_HERE : 0) |
                   (request->name_made ? BFR_BATCH_NAME_GENERATED : 0);
    request->verdict.account[BFR_ID_MAX] = '\0';
    batch->account = request->verdict.account;
    batch->tenant = request->target.tenant;
    batch->dataset = request->target.dataset;
    batch->filename = request->filename;
    batch->batch_id = request->meta.batch_id;
    batch->data_hint = request->meta.data_hint;
    batch->content_type = request->meta.content_type;
    batch->line_count = request->meta.line_count;
    batch->original_bytes = request->meta.original_bytes;
    batch->created_ns = request->meta.created_ns;
    batch->received_ns = now_ns;
    batch->body_bytes = body->stored_bytes;
    memcpy(batch->stored_sha256, body->stored_sha256, sizeof batch->stored_sha256);
    memcpy(batch->source_sha256, body->source_sha256, sizeof batch->source_sha256);
    batch->crc32c = bfr_body_crc32c(body);
}

#define SPANS_ON_STACK 64

// The spans of the stored body. `room` has SPANS_ON_STACK of them; more come from malloc. NULL when memory is short.
static struct bfr_span *list_spans(struct evbuffer *bytes, struct bfr_span *room, uint32_t *out_count)
{
    _Static_assert(sizeof(struct bfr_span) == sizeof(struct evbuffer_iovec) &&
                       offsetof(struct bfr_span, size) == offsetof(struct evbuffer_iovec, iov_len),
                   "a span is an iovec");
    int count = evbuffer_peek(bytes, -1, NULL, NULL, 0);
    struct bfr_span *spans = count <= SPANS_ON_STACK ? room : malloc((size_t)count * sizeof *spans);
    if (spans == NULL)
        return NULL;
    evbuffer_peek(bytes, -1, NULL, (struct evbuffer_iovec *)spans, count);
    uint32_t kept = 0;
    for (int i = 0; i < count; i++)
        if (spans[i].size > 0)
            spans[kept++] = spans[i];
    *out_count = kept;
    return spans;
}

// One reference to the sealed batch, which owns the body now; NULL when memory is short.
static struct bfr_batch *seal(struct bfr_http_request *request)
{
    struct bfr_span on_stack[SPANS_ON_STACK];
    struct bfr_batch source = {0};
    struct bfr_batch *batch = NULL;
    struct bfr_span *spans = NULL;
    struct held_body *held = malloc(sizeof *held);
    if (held == NULL)
        goto out;
    spans = list_spans(request->body.bytes, on_stack, &source.span_count);
    if (spans == NULL)
        goto out;
    source.spans = spans;
    fill_batch(request, &source);
    batch = bfr_batch_new(&source, free_body, held);
    if (batch == NULL)
        goto out;

    // The batch keeps what it stores; what was reserved beyond that goes back now.
    held->bytes = request->body.bytes;
    request->body.bytes = NULL;
    held->budget = request->shared->budget;
    bfr_budget_retain(held->budget);
    held->memory = request->memory < source.body_bytes ? request->memory : source.body_bytes;
    bfr_budget_give(held->budget, request->memory - held->memory);
    request->memory = 0;
    held = NULL;
out:
    if (spans != on_stack)
        free(spans);
    free(held);
    return batch;
}

// [any]
static void on_answer(struct bfr_waiter *waiter, uint32_t answer, const char *text)
{
    struct bfr_http_request *request =
        (struct bfr_http_request *)((char *)waiter - offsetof(struct bfr_http_request, waiter));
    request->answer = answer;
    request->answer_text = text;
    deliver(request);
}

static enum bfr_step conclude(struct bfr_http_request *request)
{
    switch (request->answer) {
    case BFR_ANSWER_ACCEPTED:
        return succeed(request, BFR_SUCCESS_ACCEPTED);
    case BFR_ANSWER_DUPLICATE:
        return succeed(request, BFR_SUCCESS_DUPLICATE);
    case BFR_ANSWER_CONFLICT:
        return refuse(request, BFR_REFUSE_CONFLICT);
    case BFR_ANSWER_REFUSED:
        return refuse(request, BFR_REFUSE_NOT_STORED);
    default:
        return refuse(request, atomic_load(&request->shared->closing) ? BFR_REFUSE_DRAINING : BFR_REFUSE_BUSY);
    }
}

enum bfr_step bfr_ingest_finish(struct bfr_http_request *request)
{
    request->body_ns = bfr_shared_now(request->shared);
    enum bfr_refusal refusal = bfr_body_finish(&request->body);
    if (refusal != BFR_REFUSE_NONE)
        return refuse(request, refusal);
    if (request->test) {
        bfr_meta_read(&request->gate, request->body.source_bytes, bfr_clock_wall(request->shared->setup.clock),
                      &request->meta);
        return succeed(request, BFR_SUCCESS_TEST);
    }
    refusal = settle_room(request);
    if (refusal != BFR_REFUSE_NONE)
        return refuse(request, refusal);
    struct bfr_batch *batch = seal(request);
    if (batch == NULL)
        return refuse(request, BFR_REFUSE_MEMORY);

    request->stage = BFR_AT_ANSWER;
    request->room = 0; // goes with the batch
    request->waiter.on_answer = on_answer;
    atomic_store(&request->turn, BFR_TURN_ASKING);
    bfr_intake_submit(request->shared->setup.pipeline, batch, &request->waiter);
    return answered_already(request) ? conclude(request) : BFR_STEP_WAIT;
}

// ---- waiting ----

enum bfr_step bfr_ingest_resume(struct bfr_http_request *request)
{
    switch (request->stage) {
    case BFR_AT_MEMORY:
        return bfr_ingest_admit(request);
    case BFR_AT_RIGHTS:
        return judge(request, request->verdict.decision);
    case BFR_AT_BODY:
        return bfr_ingest_grow(request, request->growing);
    default:
        return conclude(request);
    }
}

// True: nobody else will touch the request any more.
static bool stop_waiting(struct bfr_http_request *request)
{
    if (atomic_load(&request->turn) != BFR_TURN_PENDING)
        return false;
    if (request->stage == BFR_AT_RIGHTS)
        return bfr_auth_cancel(request->shared->setup.auth, &request->question);
    return bfr_intake_abandon(request->shared->setup.pipeline, &request->waiter);
}

static bool is_waiting(const struct bfr_http_request *request)
{
    return request->refusal == BFR_REFUSE_NONE && request->success == BFR_SUCCESS_NONE &&
           (request->stage == BFR_AT_RIGHTS || request->stage == BFR_AT_ANSWER);
}

enum bfr_step bfr_ingest_expire(struct bfr_http_request *request)
{
    if (!is_waiting(request))
        return refuse(request, BFR_REFUSE_MEMORY);
    if (!stop_waiting(request))
        return BFR_STEP_WAIT;
    return refuse(request, request->stage == BFR_AT_RIGHTS ? BFR_REFUSE_AUTH_UNKNOWN : BFR_REFUSE_ACK_TIMEOUT);
}

bool bfr_ingest_leave(struct bfr_http_request *request)
{
    bool alone = !is_waiting(request) || stop_waiting(request);
    if (request->room > 0)
        bfr_intake_release(request->shared->setup.pipeline, request->target.tenant, request->room);
    bfr_budget_give(request->shared->budget, request->memory);
    request->room = 0;
    request->memory = 0;
    bfr_body_drop(&request->body);
    return alone;
}
