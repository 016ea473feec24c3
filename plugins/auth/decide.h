// SPDX-License-Identifier: Apache-2.0
// The decision about one request against one roster. Any thread; never blocks, keeps nothing.
#ifndef BFR_AUTH_DECIDE_H
#define BFR_AUTH_DECIDE_H

#include <bfr/auth.h>

#include "hasher.h"
#include "roster.h"

// With `require_token` the token decides first and an unknown tenant looks like a wrong token. Without it the field is
// ignored and only tenant and dataset must be known. Returns out->decision.
uint32_t bfr_decide(const struct roster *roster, bool require_token, const struct hasher *hasher,
                    const struct bfr_request *request, struct bfr_verdict *out);

// What is decided, for whoever decides. Each returns out->decision.
uint32_t bfr_decide_allow(struct bfr_verdict *out, const char *account);
uint32_t bfr_decide_deny(struct bfr_verdict *out, enum bfr_deny why, const char *text);
uint32_t bfr_decide_unknown(struct bfr_verdict *out, const char *text);

#endif
