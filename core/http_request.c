// SPDX-License-Identifier: Apache-2.0
// What admission and ingest both do to a request: decide it, reserve for it, and let an answer and the call that asked for
// it find out who was first.
#include "http_request.h"

enum bfr_step bfr_request_refuse(struct bfr_http_request *request, enum bfr_refusal refusal)
{
    request->refusal = refusal;
    return BFR_STEP_REPLY;
}

enum bfr_step bfr_request_succeed(struct bfr_http_request *request, enum bfr_request_success success)
{
    request->success = success;
    return BFR_STEP_REPLY;
}

enum bfr_refusal bfr_request_reserve(struct bfr_http_request *request, uint64_t bytes)
{
    uint32_t room = bfr_intake_reserve(request->shared->setup.pipeline, request->target.tenant, bytes);
    if (room == BFR_ROOM_OK) {
        request->room += bytes;
        return BFR_REFUSE_NONE;
    }
    return room == BFR_ROOM_SHARE ? BFR_REFUSE_TENANT_SHARE : BFR_REFUSE_SPOOL_FULL;
}

// What the body may need at the end: as declared, or the largest that is accepted.
static uint64_t final_bytes(const struct bfr_http_request *request)
{
    return request->gate.chunked ? request->rules->max_payload_bytes : request->gate.length;
}

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + BFR_REQUEST_STEP_BYTES - 1) / BFR_REQUEST_STEP_BYTES * BFR_REQUEST_STEP_BYTES;
}

// To hold `source_bytes` of the body, and to hold all of it.
static struct bfr_want want_memory(const struct bfr_http_request *request, uint64_t source_bytes)
{
    uint64_t overhead = bfr_body_overhead(&request->body);
    uint64_t most = final_bytes(request);
    uint64_t next = round_up(source_bytes);
    struct bfr_want want = {.waited = request->waited};
    want.rest = most + overhead - request->memory;
    want.step = next < most ? next + overhead - request->memory : want.rest;
    return want;
}

// Copies of bodies that queues can read back go first, a few bodies' worth at a time.
static bool evict_copies(struct bfr_http_request *request, struct bfr_want want)
{
    return bfr_intake_evict(request->shared->setup.pipeline, 4 * want.rest) > 0;
}

bool bfr_request_has_memory(struct bfr_http_request *request)
{
    uint64_t most = final_bytes(request);
    uint64_t step = most < BFR_REQUEST_STEP_BYTES ? most : BFR_REQUEST_STEP_BYTES;
    struct bfr_want want = {.step = step, .rest = most, .waited = request->waited};
    struct bfr_budget *budget = request->shared->budget;
    return bfr_budget_has(budget, want) || (evict_copies(request, want) && bfr_budget_has(budget, want));
}

bool bfr_request_take_memory(struct bfr_http_request *request, uint64_t source_bytes)
{
    struct bfr_budget *budget = request->shared->budget;
    uint64_t overhead = bfr_body_overhead(&request->body);
    if (source_bytes + overhead <= request->memory)
        return true;
    struct bfr_want want = want_memory(request, source_bytes);
    uint64_t taken = bfr_budget_take(budget, want);
    if (taken == 0 && evict_copies(request, want))
        taken = bfr_budget_take(budget, want);
    request->memory += taken;
    return taken > 0;
}

void bfr_request_deliver(struct bfr_http_request *request)
{
    if (atomic_exchange(&request->turn, BFR_TURN_ANSWERED) == BFR_TURN_PENDING)
        bfr_mailbox_post(request->mailbox, &request->mail);
}

bool bfr_request_answered(struct bfr_http_request *request)
{
    int asking = BFR_TURN_ASKING;
    return !atomic_compare_exchange_strong(&request->turn, &asking, BFR_TURN_PENDING);
}
