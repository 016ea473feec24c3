// SPDX-License-Identifier: Apache-2.0
// When a failed batch is tried again, and when it has had enough attempts.
#ifndef BFR_CORE_PIPE_RETRY_H
#define BFR_CORE_PIPE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_retry {
    uint64_t initial_ns;
    uint64_t max_ns;
    uint32_t attempts; // 0 = never give up
    uint64_t random;   // state of the generator
};

void bfr_retry_init(struct bfr_retry *retry, uint64_t initial_ms, uint64_t max_ms, uint32_t attempts, uint64_t seed);
// Other limits from now on; waits that have begun stay as they are.
void bfr_retry_limit(struct bfr_retry *retry, uint64_t initial_ms, uint64_t max_ms, uint32_t attempts);
// How long to wait after failure number `failures` (1 for the first): full jitter, at least 1 ms, at least what the far
// end asked for.
uint64_t bfr_retry_delay(struct bfr_retry *retry, uint32_t failures, uint64_t retry_after_ms);
// Is a batch with that many failures of its own to be given up?
bool bfr_retry_exhausted(const struct bfr_retry *retry, uint32_t failures);
// `span` +-25 %.
uint64_t bfr_retry_around(struct bfr_retry *retry, uint64_t span_ns);

#endif
