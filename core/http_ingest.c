// SPDX-License-Identifier: Apache-2.0
// An admitted request: its body grows, it is submitted, it waits, it is answered or given up. Everything reserved for it is
// given back exactly once: by the batch when its last holder lets go, or by bfr_ingest_leave.
#include "http_ingest.h"

#include <string.h>

#include "http_admission.h"
#include "http_seal.h"

// Room for `wanted` bytes in all: of what was declared all at once, else in steps.
static uint64_t next_reserve(const struct bfr_http_request *request, uint64_t wanted)
{
    uint64_t rounded = (wanted + BFR_REQUEST_STEP_BYTES - 1) / BFR_REQUEST_STEP_BYTES * BFR_REQUEST_STEP_BYTES;
    return request->gate.chunked ? rounded : request->gate.length;
}

// There is no need to read a chunk to know that it is too much.
bool bfr_ingest_fits(const struct bfr_http_request *request)
{
    return request->body.source_bytes + request->gate.body_left <= request->rules->max_payload_bytes;
}

enum bfr_step bfr_ingest_grow(struct bfr_http_request *request, uint64_t size)
{
    uint64_t wanted = request->body.source_bytes + size;
    if (request->test)
        return BFR_STEP_GO;
    if (wanted > request->room) {
        enum bfr_refusal refusal = bfr_request_reserve(request, next_reserve(request, wanted) - request->room);
        if (refusal != BFR_REFUSE_NONE)
            return bfr_request_refuse(request, refusal);
    }
    request->growing = size;
    return bfr_request_take_memory(request, wanted) ? BFR_STEP_GO : BFR_STEP_STARVE;
}

// Compressing may have made it smaller than declared, or, for noise, a little larger.
static enum bfr_refusal settle_room(struct bfr_http_request *request)
{
    uint64_t stored = request->body.stored_bytes;
    if (request->room < stored)
        return bfr_request_reserve(request, stored - request->room);
    if (request->room > stored)
        bfr_intake_release(request->shared->setup.pipeline, request->target.tenant, request->room - stored);
    request->room = stored;
    return BFR_REFUSE_NONE;
}

// [any]
static void on_answer(struct bfr_waiter *waiter, uint32_t answer, const char *text)
{
    struct bfr_http_request *request =
        (struct bfr_http_request *)((char *)waiter - offsetof(struct bfr_http_request, waiter));
    request->answer = answer;
    request->answer_text = text;
    bfr_request_deliver(request);
}

// The pipeline tells of what it accepts; that a batch came again is known only here.
static void tell_duplicate(const struct bfr_http_request *request)
{
    struct bfr_batch told = {.account = request->verdict.account,
                             .tenant = request->target.tenant,
                             .dataset = request->target.dataset,
                             .filename = request->filename,
                             .received_ns = bfr_clock_wall(request->shared->setup.clock),
                             .body_bytes = request->body.stored_bytes};
    memcpy(told.stored_sha256, request->body.stored_sha256, sizeof told.stored_sha256);
    bfr_tap_write(request->shared->setup.tap, &told, true);
}

static enum bfr_step conclude(struct bfr_http_request *request)
{
    switch (request->answer) {
    case BFR_ANSWER_ACCEPTED:
        return bfr_request_succeed(request, BFR_SUCCESS_ACCEPTED);
    case BFR_ANSWER_DUPLICATE:
        if (bfr_tap_is_open(request->shared->setup.tap))
            tell_duplicate(request);
        return bfr_request_succeed(request, BFR_SUCCESS_DUPLICATE);
    case BFR_ANSWER_CONFLICT:
        return bfr_request_refuse(request, BFR_REFUSE_CONFLICT);
    case BFR_ANSWER_REFUSED:
        return bfr_request_refuse(request, BFR_REFUSE_NOT_STORED);
    default:
        return bfr_request_refuse(request,
                                  atomic_load(&request->shared->closing) ? BFR_REFUSE_DRAINING : BFR_REFUSE_BUSY);
    }
}

enum bfr_step bfr_ingest_finish(struct bfr_http_request *request)
{
    request->body_ns = bfr_shared_now(request->shared);
    enum bfr_refusal refusal = bfr_body_finish(&request->body);
    if (refusal != BFR_REFUSE_NONE)
        return bfr_request_refuse(request, refusal);
    if (request->test) {
        bfr_meta_read(&request->gate, request->body.source_bytes, bfr_clock_wall(request->shared->setup.clock),
                      &request->meta);
        return bfr_request_succeed(request, BFR_SUCCESS_TEST);
    }
    refusal = settle_room(request);
    if (refusal != BFR_REFUSE_NONE)
        return bfr_request_refuse(request, refusal);
    struct bfr_batch *batch = bfr_seal(request);
    if (batch == NULL)
        return bfr_request_refuse(request, BFR_REFUSE_MEMORY);

    request->stage = BFR_AT_ANSWER;
    request->room = 0; // goes with the batch
    request->waiter.on_answer = on_answer;
    atomic_store(&request->turn, BFR_TURN_ASKING);
    bfr_intake_submit(request->shared->setup.pipeline, batch, &request->waiter);
    return bfr_request_answered(request) ? conclude(request) : BFR_STEP_WAIT;
}

enum bfr_step bfr_ingest_resume(struct bfr_http_request *request)
{
    switch (request->stage) {
    case BFR_AT_MEMORY:
        return bfr_admission_run(request);
    case BFR_AT_RIGHTS:
        return bfr_admission_judge(request, request->verdict.decision);
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
        return bfr_request_refuse(request, BFR_REFUSE_MEMORY);
    if (!stop_waiting(request))
        return BFR_STEP_WAIT;
    return bfr_request_refuse(request,
                              request->stage == BFR_AT_RIGHTS ? BFR_REFUSE_AUTH_UNKNOWN : BFR_REFUSE_ACK_TIMEOUT);
}

bool bfr_ingest_leave(struct bfr_http_request *request)
{
    bool alone = !is_waiting(request) || stop_waiting(request);
    if (request->owes_bytes)
        bfr_quota_charge(request->rules->quota, request->target.tenant, request->body.source_bytes,
                         bfr_shared_now(request->shared));
    request->owes_bytes = false;
    if (request->room > 0)
        bfr_intake_release(request->shared->setup.pipeline, request->target.tenant, request->room);
    bfr_budget_give(request->shared->budget, request->memory);
    request->room = 0;
    request->memory = 0;
    bfr_body_drop(&request->body);
    return alone;
}
