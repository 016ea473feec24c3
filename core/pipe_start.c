// SPDX-License-Identifier: Apache-2.0
// Starting the pipeline so that nobody is handed a batch before he can take it: sinks, then queues from last to first,
// then what the queues recovered goes into the books, then the pumps. Main thread; undoes itself on failure.
#include <bfr/text.h>

#include "pipe_chain.h"

struct recovery {
    struct bfr_pipeline *pipeline;
    bool short_of_memory;
};

static void on_recent(void *arg, const struct bfr_recent *recent, bool held, bool buried)
{
    struct recovery *recovery = arg;
    struct bfr_pipeline *pipeline = recovery->pipeline;
    // What is no longer held has been stored; what a queue still holds after a restart survived it.
    uint32_t level = held || buried ? BFR_ACK_DISK : BFR_ACK_SINK;
    if (!bfr_dedup_remember(pipeline->dedup, recent, level, buried))
        recovery->short_of_memory = true;
    if ((!held && !buried) || (recent->flags & BFR_RECENT_COUNTED) != 0)
        return;
    if (!bfr_ledger_admit(pipeline->ledger, recent->tenant)) {
        recovery->short_of_memory = true;
        return;
    }
    const struct bfr_booking booking = {
        .move = buried ? BFR_MOVE_RECOVERED_BURIED : BFR_MOVE_RECOVERED_HELD,
        .tenant = recent->tenant,
        .bytes = recent->body_bytes,
    };
    bfr_ledger_book(pipeline->ledger, &booking, 1);
}

static uint32_t queues_recover(struct bfr_pipeline *pipeline, struct bfr_err *err)
{
    struct recovery recovery = {pipeline, false};
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        struct bfr_stage *stage = pipeline->ports[i].stage;
        const struct bfr_queue_vtable *queue = bfr_stage_queue(stage);
        if (BFR_HAS_CALL(queue, recent))
            queue->recent(bfr_stage_self(stage), on_recent, &recovery);
    }
    if (!recovery.short_of_memory)
        return BFR_OK;
    return bfr_err_set(err, BFR_ENOMEM, "pipeline: out of memory while reading what the queues recovered");
}

// The order of start: sinks, then queues from last to first, so that whoever starts finds his consumer running.
static size_t start_order(const struct bfr_pipeline *pipeline, size_t step)
{
    if (step < pipeline->sink_count)
        return pipeline->queue_count + step;
    return pipeline->queue_count - 1 - (step - pipeline->sink_count);
}

static uint32_t pumps_start(struct bfr_pipeline *pipeline, struct bfr_err *err)
{
    for (size_t i = 0; pipeline->pumps && i < pipeline->runner_count; i++) {
        uint32_t status = bfr_pump_start(pipeline->runners[i].pump, err);
        if (status != BFR_OK)
            return status;
    }
    return pipeline->recovery != NULL ? bfr_pump_start(pipeline->recovery, err) : BFR_OK;
}

uint32_t bfr_pipeline_start(struct bfr_pipeline *pipeline, struct bfr_err *err)
{
    size_t running = 0;
    uint32_t status = BFR_OK;
    while (status == BFR_OK && running < bfr_port_count(pipeline)) {
        status = bfr_stage_start(pipeline->ports[start_order(pipeline, running)].stage, err);
        running += status == BFR_OK ? 1 : 0;
    }
    if (status == BFR_OK)
        status = queues_recover(pipeline, err);
    if (status == BFR_OK)
        status = pumps_start(pipeline, err);
    if (status != BFR_OK) {
        for (size_t i = 0; i < pipeline->runner_count && pipeline->pumps; i++)
            bfr_pump_stop(pipeline->runners[i].pump);
        if (pipeline->recovery != NULL)
            bfr_pump_stop(pipeline->recovery);
        while (running > 0)
            bfr_stage_stop(pipeline->ports[start_order(pipeline, --running)].stage);
        return status;
    }
    atomic_store(&pipeline->started, true);
    return BFR_OK;
}
