// SPDX-License-Identifier: Apache-2.0
// The Authorization field: finds the token of a Bearer credential. Pure.
#ifndef BFR_AUTH_BEARER_H
#define BFR_AUTH_BEARER_H

#include <bfr/batch.h>
#include <bfr/status.h>

// Why there is no token, for the log. Zero means that there is one.
enum bearer_fault {
    BEARER_OK = 0,
    BEARER_ABSENT = 1,    // no such field
    BEARER_SCHEME = 2,    // another scheme
    BEARER_MALFORMED = 3, // no token, or something that cannot be one
};

// *out points into `field`.
BFR_MUST_CHECK enum bearer_fault bfr_bearer_parse(struct bfr_span field, struct bfr_span *out);

// "no Authorization field" and the like.
const char *bfr_bearer_fault_text(enum bearer_fault fault);

#endif
