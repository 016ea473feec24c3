// SPDX-License-Identifier: Apache-2.0
// One request from its admitted head to its answer. Knows no socket: the connection feeds it and does
// what the returned step says. All calls [loop].
#ifndef BFR_CORE_HTTP_INGEST_H
#define BFR_CORE_HTTP_INGEST_H

#include "http_request.h"

// Would the bytes that are announced, of the body or of the present chunk, exceed the limit? Then nothing of them is taken.
bool bfr_ingest_fits(const struct bfr_http_request *request);
// Before `size` more bytes of body are taken: room in the spool, budget. GO, STARVE or REPLY.
enum bfr_step bfr_ingest_grow(struct bfr_http_request *request, uint64_t size);
// The body is complete: seal and submit. WAIT or REPLY.
enum bfr_step bfr_ingest_finish(struct bfr_http_request *request);
// Mail came, or the budget may have room again. Any step.
enum bfr_step bfr_ingest_resume(struct bfr_http_request *request);
// It waited too long. REPLY; WAIT when the answer is on its way at this very moment.
enum bfr_step bfr_ingest_expire(struct bfr_http_request *request);
// Stop waiting and give back whatever is still reserved. False: mail is on its way, keep the request until it came.
bool bfr_ingest_leave(struct bfr_http_request *request);

#endif
