// SPDX-License-Identifier: Apache-2.0
// See duty.h.
#include "duty.h"

#include <bfr/text.h>

#define FIRST_WAIT_NS UINT64_C(1000000000)
#define DOUBLINGS_MAX 10

void bfr_duty_done(struct duty *duty, const struct bfr_host *host, struct courier *courier)
{
    if (duty->failures > 0)
        bfr_log(host, BFR_LOG_INFO, "far end takes what is sent again", "what", duty->what, "failures",
                bfr_num(duty->failures).text, NULL);
    duty->failures = 0;
    duty->due_ns = duty->interval_ns == UINT64_MAX ? UINT64_MAX : bfr_courier_now(courier) + duty->interval_ns;
}

static uint64_t wait_after(const struct duty *duty)
{
    uint32_t doublings = duty->failures > DOUBLINGS_MAX ? DOUBLINGS_MAX : duty->failures - 1;
    uint64_t wait_ns = FIRST_WAIT_NS << doublings;
    if (wait_ns > duty->longest_ns)
        wait_ns = duty->longest_ns;
    return (uint64_t)((double)wait_ns * bfr_courier_jitter());
}

void bfr_duty_failed(struct duty *duty, const struct bfr_host *host, struct courier *courier, const char *cause)
{
    if (bfr_courier_leaving(courier))
        return;
    if (duty->failures == 0)
        bfr_log(host, BFR_LOG_WARN, "far end does not take what is sent; batches are not affected, trying again",
                "what", duty->what, "cause", cause, NULL);
    if (duty->failures < UINT32_MAX)
        duty->failures++;
    duty->due_ns = bfr_courier_now(courier) + wait_after(duty);
}
