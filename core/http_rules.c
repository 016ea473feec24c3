// SPDX-License-Identifier: Apache-2.0
// Made on the main thread, then owned by one loop.
#include "http_rules.h"

#include <stdlib.h>

struct bfr_rules *bfr_rules_new(const struct bfr_settings *settings, uint64_t max_payload_bytes,
                                struct bfr_quota *quota)
{
    struct bfr_rules *rules = malloc(sizeof *rules);
    if (rules == NULL)
        return NULL;
    *rules = (struct bfr_rules){
        .max_payload_bytes = max_payload_bytes,
        .read_timeout_ms = settings->webhook.read_timeout_ms,
        .write_timeout_ms = settings->webhook.write_timeout_ms,
        .idle_timeout_ms = settings->webhook.idle_timeout_ms,
        .head_timeout_ms = settings->webhook.head_timeout_ms,
        .min_body_rate = settings->webhook.min_body_rate,
        .max_connection_age_ms = settings->webhook.max_connection_age_ms,
        .memory_wait_ms = settings->memory.wait_ms,
        .ack_timeout_ms = settings->ack_timeout_ms,
        .gzip_full = settings->webhook.gzip_check == BFR_GZIP_CHECK_FULL,
        .quota = bfr_quota_retain(quota),
        .users = 1,
    };
    return rules;
}

void bfr_rules_leave(struct bfr_rules *rules)
{
    if (rules == NULL || --rules->users > 0)
        return;
    bfr_quota_free(rules->quota);
    free(rules);
}
