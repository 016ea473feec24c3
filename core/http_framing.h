// SPDX-License-Identifier: Apache-2.0
// From a complete head to the way the body is delimited (RFC 9112 section 6), and the checks on the fields that
// decide it. Called by the gate alone.
#ifndef BFR_CORE_HTTP_FRAMING_H
#define BFR_CORE_HTTP_FRAMING_H

#include "http_gate.h"

// Sets chunked, length, body_left, close and expect_continue. BFR_REFUSE_NONE when all is well.
enum bfr_refusal bfr_framing_decide(struct bfr_gate *gate);

// True when the comma-separated list holds the token, in any case (RFC 9110 section 5.6.1).
bool bfr_list_has(const char *list, size_t size, const char *token);

#endif
