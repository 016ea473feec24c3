// SPDX-License-Identifier: Apache-2.0
// From a request target to a route: which of the webhook port's few resources is meant, and whose data comes. Pure.
#ifndef BFR_CORE_HTTP_TARGET_H
#define BFR_CORE_HTTP_TARGET_H

#include "http_gate.h"

enum bfr_route { BFR_ROUTE_HEALTH = 1, BFR_ROUTE_INGEST };

struct bfr_target {
    enum bfr_route route;
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];
    bool dataset_dotted; // a trailing dot was dropped from that id
    bool tenant_dotted;
};

// A query is ignored. The last two segments are the ids, whatever stands before them, so that every base URL that
// senders have been given goes on working.
enum bfr_refusal bfr_target_parse(struct bfr_span target, struct bfr_target *out);

// Is this method served on this route? BFR_REFUSE_METHOD if not; bfr_route_allow is the Allow field then.
enum bfr_refusal bfr_route_check(enum bfr_route route, enum bfr_method method);
const char *bfr_route_allow(enum bfr_route route);

#endif
