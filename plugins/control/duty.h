// SPDX-License-Identifier: Apache-2.0
// Something to be done again and again: when it is due, how long to wait after a failure, and one line of the log for each
// change between going well and failing. For a service's own thread.
#ifndef BFR_DUTY_H
#define BFR_DUTY_H

#include "courier.h"

struct duty {
    const char *what; // for the log: "report"
    uint64_t interval_ns;
    uint64_t longest_ns; // between two tries while it fails
    uint64_t due_ns;     // monotonic; UINT64_MAX: never again
    uint32_t failures;   // in a row
};

static inline bool bfr_duty_is_due(const struct duty *duty, uint64_t now_ns)
{
    return now_ns >= duty->due_ns;
}

// It went well: due again after the interval.
void bfr_duty_done(struct duty *duty, const struct bfr_host *host, struct courier *courier);
// It did not: due again after a wait that doubles, with jitter. Nothing when the daemon stops: a call left behind is no failure
// of the far end.
void bfr_duty_failed(struct duty *duty, const struct bfr_host *host, struct courier *courier, const char *cause);

#endif
