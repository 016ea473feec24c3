// SPDX-License-Identifier: Apache-2.0
// Asks the queues for their limits, which do not change while they run. Main thread.
#include "app_payload.h"

#include "log.h"

// The largest body that every stage can take: half of the memory budget, and a quarter of any bounded queue.
static uint64_t largest_payload(const struct bfr_settings *settings, const struct bfr_assembly *assembly)
{
    uint64_t limit = settings->memory.budget / 2;
    for (size_t i = 0; i < assembly->queue_count; i++) {
        struct bfr_stage *queue = assembly->queues[i];
        struct bfr_queue_stats stats = {.size = sizeof stats};
        bfr_stage_queue(queue)->stats(bfr_stage_self(queue), &stats);
        if (stats.limit_bytes > 0 && stats.limit_bytes / 4 < limit)
            limit = stats.limit_bytes / 4;
    }
    return limit;
}

uint64_t bfr_payload_limit(const struct bfr_settings *settings, const struct bfr_assembly *assembly)
{
    uint64_t possible = largest_payload(settings, assembly);
    uint64_t wanted = settings->webhook.max_payload_size;
    if (wanted == 0 || wanted <= possible)
        return wanted == 0 ? possible : wanted;
    bfr_say(BFR_LOG_WARN, "webhook", "bodies are limited by memory.budget and the queues, not by max_payload_size",
            "limit_bytes", bfr_num((int64_t)possible).text, NULL);
    return possible;
}
