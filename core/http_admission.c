// SPDX-License-Identifier: Apache-2.0
// Admission: everything that is decided between a request's head and its body. Runs on the loop; may pause for memory and
// for a late verdict, and goes on where it stood.
#include "http_admission.h"

#include <string.h>
#include <strings.h>

#include "http_framing.h"

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
        refusal = bfr_digest_read(gate, &request->digest);
    if (refusal == BFR_REFUSE_NONE)
        refusal = check_name(request);
    if (refusal == BFR_REFUSE_NONE && gate->length > request->rules->max_payload_bytes)
        refusal = BFR_REFUSE_TOO_LARGE;
    if (refusal == BFR_REFUSE_NONE && !gate->chunked && gate->length == 0 && !request->test)
        refusal = BFR_REFUSE_EMPTY_BODY;
    return refusal;
}

// Of a large body the room is given back until its first byte is here: whoever declares much and sends nothing must not
// keep others out of the spool.
static enum bfr_refusal reserve_room(struct bfr_http_request *request)
{
    const struct bfr_gate *gate = &request->gate;
    enum bfr_refusal refusal = bfr_request_reserve(request, gate->chunked ? BFR_REQUEST_STEP_BYTES : gate->length);
    if (refusal != BFR_REFUSE_NONE || gate->length <= BFR_REQUEST_STEP_BYTES)
        return refusal;
    bfr_intake_release(request->shared->setup.pipeline, request->target.tenant, request->room);
    request->room = 0;
    return BFR_REFUSE_NONE;
}

static enum bfr_step admit_head(struct bfr_http_request *request)
{
    enum bfr_refusal refusal = check_head(request);
    if (refusal != BFR_REFUSE_NONE)
        return bfr_request_refuse(request, refusal);
    if (request->target.route == BFR_ROUTE_HEALTH)
        return bfr_request_succeed(request, BFR_SUCCESS_HEALTH);
    if (atomic_load(&request->shared->closing))
        return bfr_request_refuse(request, BFR_REFUSE_DRAINING);
    if (!request->test)
        refusal = reserve_room(request);
    if (refusal != BFR_REFUSE_NONE)
        return bfr_request_refuse(request, refusal);
    request->stage = BFR_AT_MEMORY;
    return BFR_STEP_GO;
}

static enum bfr_step admit_memory(struct bfr_http_request *request)
{
    if (!request->test && !bfr_request_has_memory(request)) // nothing of a test is kept
        return BFR_STEP_STARVE;
    request->stage = BFR_AT_RIGHTS;
    return BFR_STEP_GO;
}

// [any]
static void on_verdict(struct bfr_question *question, const struct bfr_verdict *verdict)
{
    struct bfr_http_request *request =
        (struct bfr_http_request *)((char *)question - offsetof(struct bfr_http_request, question));
    request->verdict = *verdict;
    bfr_request_deliver(request);
}

static enum bfr_step deny(struct bfr_http_request *request)
{
    switch (request->verdict.deny) {
    case BFR_DENY_TOKEN:
        return bfr_request_refuse(request, BFR_REFUSE_TOKEN);
    case BFR_DENY_FOREIGN:
        return bfr_request_refuse(request, BFR_REFUSE_FOREIGN);
    case BFR_DENY_TENANT_GONE:
        return bfr_request_refuse(request, BFR_REFUSE_TENANT_GONE);
    case BFR_DENY_DATASET_GONE:
        return bfr_request_refuse(request, BFR_REFUSE_DATASET_GONE);
    default: // a reason this host does not know is no proof that the batch can never be accepted
        return bfr_request_refuse(request, BFR_REFUSE_AUTH_UNKNOWN);
    }
}

// After the verdict, so that nobody can use up what belongs to another tenant.
static enum bfr_refusal check_quota(struct bfr_http_request *request)
{
    struct bfr_quota *quota = request->rules->quota;
    if (quota == NULL)
        return BFR_REFUSE_NONE;
    uint64_t wait_ns;
    uint64_t bytes = request->gate.chunked ? BFR_QUOTA_UNDECLARED : request->gate.length;
    enum bfr_refusal refusal =
        bfr_quota_take(quota, request->target.tenant, bytes, bfr_shared_now(request->shared), &wait_ns);
    if (refusal != BFR_REFUSE_NONE)
        request->retry_after_s = (uint32_t)((wait_ns + BFR_NS_PER_S - 1) / BFR_NS_PER_S);
    request->owes_bytes = refusal == BFR_REFUSE_NONE && request->gate.chunked;
    return refusal;
}

enum bfr_step bfr_admission_judge(struct bfr_http_request *request, uint32_t decision)
{
    if (decision == BFR_DENY)
        return deny(request);
    if (decision != BFR_ALLOW) {
        request->retry_after_s = request->verdict.retry_after_s;
        return bfr_request_refuse(request, BFR_REFUSE_AUTH_UNKNOWN);
    }
    enum bfr_refusal refusal = check_quota(request);
    if (refusal != BFR_REFUSE_NONE)
        return bfr_request_refuse(request, refusal);
    request->stage = BFR_AT_BODY;
    struct bfr_body_rules rules = {
        .discard = request->test,
        .gzip_full = request->rules->gzip_full,
        .digest = request->digest,
    };
    if (!bfr_body_begin(&request->body, &rules))
        return bfr_request_refuse(request, BFR_REFUSE_MEMORY);
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

    struct bfr_verdict verdict = {.size = sizeof verdict};
    uint32_t decision = bfr_auth_ask(request->shared->setup.auth, &asked, &request->question, &verdict);
    if (decision != BFR_LATER) {
        atomic_store(&request->turn, BFR_TURN_ANSWERED);
        request->verdict = verdict;
        return bfr_admission_judge(request, decision);
    }
    return bfr_request_answered(request) ? bfr_admission_judge(request, request->verdict.decision) : BFR_STEP_WAIT;
}

enum bfr_step bfr_admission_run(struct bfr_http_request *request)
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
