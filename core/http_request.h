// SPDX-License-Identifier: Apache-2.0
// One request on its way: what the gate read, what was reserved for it, whom it waits for. Lives on one loop. Taken from
// the loop's pool with the first byte, given back with the reply; if its connection goes while another thread is about to
// answer, it stays until that answer has come.
#ifndef BFR_CORE_HTTP_REQUEST_H
#define BFR_CORE_HTTP_REQUEST_H

#include "http_body.h"
#include "http_gate.h"
#include "http_mailbox.h"
#include "http_meta.h"
#include "http_name.h"
#include "http_rules.h"
#include "http_shared.h"
#include "http_target.h"

struct bfr_http_connection;

#define BFR_REQUEST_STEP_BYTES UINT64_C(65536) // a block: how far ahead room and memory are reserved when a body grows

// What the connection is to do next.
enum bfr_step {
    BFR_STEP_GO = 1, // go on reading
    BFR_STEP_WAIT,   // read nothing; news comes by mail
    BFR_STEP_STARVE, // read nothing until the budget has room: then bfr_ingest_resume
    BFR_STEP_REPLY   // `refusal` or `success` is set: answer now
};

// Where it stands. Admission may pause at MEMORY and at RIGHTS and goes on from there.
enum bfr_request_stage {
    BFR_AT_HEAD = 1, // nothing decided
    BFR_AT_MEMORY,   // waits for room in the budget
    BFR_AT_RIGHTS,   // waits for a verdict
    BFR_AT_BODY,     // admitted
    BFR_AT_ANSWER    // submitted, waits for the pipeline
};

// Who is first: the call that may answer at once, or its answer from another thread.
enum bfr_request_turn {
    BFR_TURN_ASKING = 1, // the call has not returned
    BFR_TURN_PENDING,    // it has, without an answer: the answer comes by mail
    BFR_TURN_ANSWERED
};

enum bfr_request_success {
    BFR_SUCCESS_NONE = 0,
    BFR_SUCCESS_HEALTH,
    BFR_SUCCESS_TEST,
    BFR_SUCCESS_ACCEPTED,
    BFR_SUCCESS_DUPLICATE
};

struct bfr_http_request {
    struct bfr_mail mail; // first
    struct bfr_http_request *next_spare;
    struct bfr_http_shared *shared;
    struct bfr_rules *rules; // those in force when it began
    struct bfr_mailbox *mailbox;
    struct bfr_http_connection *connection; // NULL: nobody waits any more
    const char *peer;

    enum bfr_request_stage stage;
    enum bfr_refusal refusal;
    enum bfr_request_success success;
    uint32_t retry_after_s; // 0 = the usual
    uint64_t begun_ns;      // first byte of the head
    uint64_t body_ns;       // last byte of the body

    struct bfr_target target;
    char filename[BFR_NAME_ROOM];
    bool name_made;
    bool test;      // connectivity test: nothing is stored
    bool json_only; // the client accepts nothing but JSON
    struct bfr_stated_digest digest;
    struct bfr_meta meta;

    uint64_t room;    // reserved for the tenant in the pipeline, not submitted yet
    uint64_t memory;  // taken from the budget, not handed to a batch yet
    bool owes_bytes;  // nobody declared them: the quota is charged with what came
    bool waited;      // for memory, and goes on now: nobody is before it
    uint64_t growing; // bytes for which room was asked last

    atomic_int turn; // enum bfr_request_turn
    struct bfr_question question;
    struct bfr_verdict verdict;
    struct bfr_waiter waiter;
    uint32_t answer;
    const char *answer_text;

    struct bfr_gate gate;
    struct bfr_body body;
};

// Both return BFR_STEP_REPLY.
enum bfr_step bfr_request_refuse(struct bfr_http_request *request, enum bfr_refusal refusal);
enum bfr_step bfr_request_succeed(struct bfr_http_request *request, enum bfr_request_success success);

// More room in the spool.
enum bfr_refusal bfr_request_reserve(struct bfr_http_request *request, uint64_t bytes);
// Is there memory for a first step? Nothing is taken: who declares a body and sends nothing costs nothing.
bool bfr_request_has_memory(struct bfr_http_request *request);
// Memory for `source_bytes` of body, perhaps for more of it. False: none now.
bool bfr_request_take_memory(struct bfr_http_request *request, uint64_t source_bytes);

// An answer may come from any thread while the call that asks for it has not returned. deliver, after the answer is stored
// [any], and answered, after the call [loop], meet in one atomic exchange: exactly one of the two goes on.
void bfr_request_deliver(struct bfr_http_request *request);
bool bfr_request_answered(struct bfr_http_request *request);

#endif
