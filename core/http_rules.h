// SPDX-License-Identifier: Apache-2.0
// The limits by which one loop judges: numbers of one generation of the configuration, never changed once a loop has them. Each
// loop has a copy of its own, so that a request takes and lets go of it without a lock or an atomic. A request keeps the
// rules with which it began.
#ifndef BFR_CORE_HTTP_RULES_H
#define BFR_CORE_HTTP_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "config_settings.h"
#include "http_quota.h"

struct bfr_rules {
    uint64_t max_payload_bytes;
    uint64_t read_timeout_ms;
    uint64_t write_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t head_timeout_ms;
    uint64_t min_body_rate;
    uint64_t max_connection_age_ms;
    uint64_t memory_wait_ms;
    uint64_t ack_timeout_ms;
    bool gzip_full;
    struct bfr_quota *quota; // NULL = nothing is limited; held
    unsigned users;          // the loop itself while they are in force, and its requests
};

// With one user. NULL when memory is short. [main]
struct bfr_rules *bfr_rules_new(const struct bfr_settings *settings, uint64_t max_payload_bytes,
                                struct bfr_quota *quota);

// [loop]
static inline struct bfr_rules *bfr_rules_use(struct bfr_rules *rules)
{
    rules->users++;
    return rules;
}
void bfr_rules_leave(struct bfr_rules *rules); // frees them behind their last user; NULL is allowed

#endif
