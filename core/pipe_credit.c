// SPDX-License-Identifier: Apache-2.0
// The window of a link. Pure; pump thread only. The rule is TCP's (RFC 5681), for TCP's reason: a consumer that slows
// down is met by fewer deliveries at once, not by a longer queue inside it.
#include "pipe_credit.h"

void bfr_credit_init(struct bfr_credit *credit, uint32_t max)
{
    *credit = (struct bfr_credit){.window = 1, .max = max, .threshold = max};
}

void bfr_credit_success(struct bfr_credit *credit)
{
    if (credit->window >= credit->max)
        return;
    // One more per success doubles the window per round trip.
    if (credit->window < credit->threshold) {
        credit->window++;
        return;
    }
    if (++credit->clean >= credit->window) {
        credit->window++;
        credit->clean = 0;
    }
}

void bfr_credit_trouble(struct bfr_credit *credit, uint64_t token, uint64_t newest)
{
    if (token <= credit->cut_token)
        return;
    credit->cut_token = newest;
    credit->window = credit->window > 1 ? credit->window / 2 : 1;
    credit->threshold = credit->window;
    credit->clean = 0;
}

void bfr_credit_ramp(struct bfr_credit *credit)
{
    credit->window = 1;
    credit->threshold = credit->max;
    credit->clean = 0;
}
