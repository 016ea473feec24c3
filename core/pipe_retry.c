// SPDX-License-Identifier: Apache-2.0
// Backoff. Pure but for its own random state; pump thread only.
//
// Full jitter (anything between nothing and the exponential bound) spreads the batches of a common failure best: with
// equal waits they would all come back together and fail together.
#include "pipe_retry.h"

#include "clock.h"

void bfr_retry_init(struct bfr_retry *retry, uint64_t initial_ms, uint64_t max_ms, uint32_t attempts, uint64_t seed)
{
    bfr_retry_limit(retry, initial_ms, max_ms, attempts);
    retry->random = seed;
}

void bfr_retry_limit(struct bfr_retry *retry, uint64_t initial_ms, uint64_t max_ms, uint32_t attempts)
{
    retry->initial_ns = initial_ms * BFR_NS_PER_MS;
    retry->max_ns = max_ms * BFR_NS_PER_MS;
    retry->attempts = attempts;
}

// SplitMix64: well spread and enough for jitter, which nobody gains from guessing.
static uint64_t random_below(struct bfr_retry *retry, uint64_t bound)
{
    uint64_t z = retry->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return bound > 0 ? z % bound : 0;
}

uint64_t bfr_retry_delay(struct bfr_retry *retry, uint32_t failures, uint64_t retry_after_ms)
{
    uint64_t bound = retry->initial_ns;
    for (uint32_t i = 1; i < failures && bound < retry->max_ns; i++)
        bound *= 2;
    if (bound > retry->max_ns)
        bound = retry->max_ns;
    uint64_t delay = random_below(retry, bound + 1);
    if (delay < BFR_NS_PER_MS)
        delay = BFR_NS_PER_MS;
    uint64_t asked = retry_after_ms < UINT64_MAX / BFR_NS_PER_MS / 2 ? retry_after_ms * BFR_NS_PER_MS : retry->max_ns;
    return delay > asked ? delay : asked;
}

bool bfr_retry_exhausted(const struct bfr_retry *retry, uint32_t failures)
{
    return retry->attempts > 0 && failures >= retry->attempts;
}

uint64_t bfr_retry_around(struct bfr_retry *retry, uint64_t span_ns)
{
    return span_ns - span_ns / 4 + random_below(retry, span_ns / 2 + 1);
}
