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

// When memory is short, copies of bodies that queues can read back go first, a few bodies' worth at a time.
static bool make_memory(struct bfr_http_request *request, uint64_t bytes)
{
    return bfr_intake_evict(request->shared->setup.pipeline, 4 * bytes) > 0 &&
           bfr_budget_take(request->shared->budget, bytes);
}

bool bfr_request_take_memory(struct bfr_http_request *request, uint64_t bytes)
{
    if (!bfr_budget_take(request->shared->budget, bytes) && !make_memory(request, bytes))
        return false;
    request->memory += bytes;
    return true;
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
