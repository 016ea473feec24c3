// SPDX-License-Identifier: Apache-2.0
// What follows the end of a dry spell (pipe_spell.h). Runs on a thread of its own, because a redrive waits for the queue's
// disk, which neither a pump nor a loop may; in tests on the main thread. Never redrives a letter twice, nor one that a sink
// rejected. Groups are small, so that a daemon that is told to stop in the middle waits for one of them alone.
#include "pipe_recovery.h"

#include <bfr/text.h>

#include "log.h"
#include "pipe_letters.h"

#define AT_ONCE 1024

static void spell_over(struct bfr_pipeline *pipeline, const char *sink, const struct bfr_spell *spell)
{
    uint64_t count = 0, moved;
    const struct bfr_filter filter = {
        .size = sizeof filter,
        .flags = BFR_FILTER_ONCE,
        .tenant = "*",
        .dataset = "*",
        .consumer = sink,
        .failed_from_ns = spell->from_ns,
        .failed_to_ns = spell->to_ns,
        .reason = BFR_REASON_ATTEMPTS,
        .limit = AT_ONCE,
    };
    // Each round moves some or is the last, so one that cannot be moved now keeps nobody busy.
    while (bfr_pipeline_recover(pipeline, &filter, &moved) && moved > 0)
        count += moved;
    if (count == 0)
        return;
    uint64_t seconds = (bfr_clock_now(pipeline->clock) - spell->since_ns) / BFR_NS_PER_S;
    bfr_say(BFR_LOG_INFO, sink,
            "sink stores again; the dead letters of the time when it stored nothing are tried again", "batches",
            bfr_num((int64_t)count).text, "seconds", bfr_num((int64_t)seconds).text, "cause", spell->cause, NULL);
}

uint64_t bfr_recovery_turn(void *arg)
{
    struct bfr_pipeline *pipeline = arg;
    for (size_t i = 0; i < pipeline->runner_count; i++) {
        struct bfr_link *link = pipeline->runners[i].link;
        struct bfr_spell spell;
        while (link != NULL && bfr_link_take_spell(link, &spell))
            spell_over(pipeline, bfr_stage_name(bfr_link_target(link)), &spell);
    }
    return UINT64_MAX;
}

void bfr_recovery_wake(void *arg)
{
    const struct bfr_runner *runner = arg;
    if (runner->pipeline->recovery != NULL)
        bfr_pump_wake(runner->pipeline->recovery);
}
