// SPDX-License-Identifier: Apache-2.0
// One request to the store with its answer: waits for keys, signs, sends, reads the error, and tries again by itself where
// the answer taught something (region, clock, keys). Everything runs on the client's thread.
#ifndef BFR_S3_CALL_H
#define BFR_S3_CALL_H

#include <bfr/http.h>

#include "s3_error.h"
#include "s3_outcome.h"
#include "s3_request.h"
#include "s3_session.h"

struct s3_call;

// What came of a call. Valid during on_answer.
struct s3_answer {
    bool ok;                          // a status of 200 to 299
    bool uncertain;                   // not ok, and the store may have acted
    uint32_t status;                  // of HTTP; 0 when there was no reply
    const struct s3_meaning *meaning; // of a reply that is not ok; NULL without a reply
    struct s3_error error;
    const struct bfr_http_reply *reply; // NULL when nothing was sent
    struct bfr_err why;                 // not ok: place, cause, way out
};

struct s3_call {
    struct s3_waiter waiter; // first: on_keys gets back here
    struct s3_session *session;
    struct s3_request request;
    struct s3_mark mark; // in front of what each try adds
    const struct bfr_span *spans;
    uint32_t span_count;
    uint64_t body_bytes;
    bool has_body;
    bool once; // never repeated but by us
    uint32_t tries;
    int64_t sent_ns; // Unix time of this machine
    // What it was signed with: another call may have learnt better since then.
    char access_key[128];
    char region[S3_REGION_SIZE];
    int64_t skew_ns;
    bool stopped;            // the client was stopped, or the call never began
    struct s3_answer answer; // under construction; too large for a stack that others share
    bool (*on_body)(void *arg, const uint8_t *data, size_t size);
    void (*on_answer)(void *arg, const struct s3_answer *answer);
    void *arg;
};

// Begin to make a request for the bucket (`segments` 0) or an object in it; more lines and a body may follow.
void bfr_s3_call_begin(struct s3_call *call, const char *method, const char *query, const uint8_t *payload,
                       const char *const *segments, size_t count);
// Send it; on_answer is called once, possibly before this returns.
void bfr_s3_call_send(struct s3_call *call);

#endif
