// SPDX-License-Identifier: Apache-2.0
// A pipeline without a queue: the batch goes from the edge to every sink at once and is accepted when all have
// confirmed. Nothing is kept, retried or counted before that; the sender does the retrying.
//
// The loops only leave the batch at the sink's inlet; the sink's pump puts it, in groups, because a sink's put may take
// a moment and is never called from two threads. Completions arrive on the sinks' threads.
#include "pipe_chain.h"

#include <stdlib.h>

#include "log.h"

// One batch under way to all sinks. Freed by whoever brings `open` to zero.
struct job {
    struct bfr_pipeline *pipeline;
    struct bfr_batch *batch;
    struct bfr_claim *claim;
    atomic_size_t open; // sinks not done, and one for the submitter
    atomic_bool failed;
    atomic_bool conflict;
};

static void job_accept(struct job *job)
{
    struct bfr_pipeline *pipeline = job->pipeline;
    const struct bfr_booking booking = {
        .move = BFR_MOVE_PASSED, .tenant = job->batch->tenant, .bytes = job->batch->body_bytes};
    bfr_ledger_book(pipeline->ledger, &booking, 1);
    bfr_flows_accepted(pipeline->flows, job->batch);
    bfr_flows_stored(pipeline->flows, job->batch);
    if (bfr_tap_is_open(pipeline->tap))
        bfr_tap_write(pipeline->tap, job->batch, false);
    bfr_dedup_accept(pipeline->dedup, job->claim, BFR_ACK_SINK);
}

// A conflict wins over other failures: it is the one answer that trying again cannot change.
static void job_part_done(struct job *job)
{
    struct bfr_pipeline *pipeline = job->pipeline;
    if (atomic_fetch_sub(&job->open, 1) > 1)
        return;
    if (atomic_load(&job->conflict))
        bfr_dedup_fail(pipeline->dedup, job->claim, BFR_ANSWER_CONFLICT, "the store has other bytes under this name");
    else if (atomic_load(&job->failed))
        bfr_dedup_fail(pipeline->dedup, job->claim, BFR_ANSWER_BUSY, "a sink did not take the batch");
    else
        job_accept(job);
    bfr_batch_release(job->batch);
    free(job);
}

static void job_part_failed(struct job *job)
{
    atomic_store(&job->failed, true);
    job_part_done(job);
}

// Never calls the sink: loops must not block. The slot counts against the sink's limit from here on.
static void job_offer(struct job *job, struct bfr_port *port)
{
    struct bfr_slot *slot;
    atomic_fetch_add(&job->open, 1);
    if (atomic_load(&port->fatal) || bfr_deliveries_open(port->entry, &slot, 1) == 0) {
        job_part_failed(job);
        return;
    }
    slot->view.batch = job->batch;
    slot->item = job;
    pthread_mutex_lock(&port->inlet_lock);
    *port->inlet_last = slot;
    port->inlet_last = &slot->next;
    pthread_mutex_unlock(&port->inlet_lock);
    bfr_runner_wake(port->runner);
}

// All at once, so that what came together is put together.
static struct bfr_slot *inlet_take(struct bfr_port *port)
{
    pthread_mutex_lock(&port->inlet_lock);
    struct bfr_slot *list = port->inlet_first;
    port->inlet_first = NULL;
    port->inlet_last = &port->inlet_first;
    pthread_mutex_unlock(&port->inlet_lock);
    return list;
}

static void inlet_refuse(struct bfr_port *port, struct bfr_slot *slot)
{
    struct job *job = slot->item;
    slot->next = NULL;
    bfr_deliveries_recycle(port->entry, slot);
    job_part_failed(job);
}

void bfr_direct_turn(struct bfr_port *port)
{
    struct bfr_slot *list = inlet_take(port);
    while (list != NULL) {
        struct bfr_slot *slots[BFR_PUT_MAX];
        size_t count = 0;
        for (; list != NULL && count < BFR_PUT_MAX; list = list->next)
            slots[count++] = list;
        if (!atomic_load(&port->pipeline->halted))
            bfr_deliveries_put(port->entry, slots, count, bfr_clock_now(port->pipeline->clock));
        for (size_t i = 0; i < count; i++) {
            if (slots[i] != NULL)
                inlet_refuse(port, slots[i]);
        }
    }
}

void bfr_direct_submit(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_claim *claim)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        bfr_batch_release(batch);
        bfr_dedup_fail(pipeline->dedup, claim, BFR_ANSWER_BUSY, "out of memory");
        return;
    }
    job->pipeline = pipeline;
    job->batch = batch;
    job->claim = claim;
    atomic_init(&job->open, 1);
    for (size_t i = 0; i < pipeline->sink_count; i++)
        job_offer(job, &pipeline->ports[i]); // NOLINT(clang-analyzer-unix.Malloc): the submitter's share keeps it
    job_part_done(job);                      // NOLINT(clang-analyzer-unix.Malloc)
}

static void log_failure(const struct bfr_port *port, const struct bfr_slot *slot)
{
    const struct bfr_batch *batch = slot->view.batch;
    bool fatal = slot->outcome == BFR_FATAL;
    bfr_say(fatal ? BFR_LOG_ERROR : BFR_LOG_WARN, bfr_stage_name(port->stage),
            fatal ? "sink cannot go on; batches are refused until a reload or restart"
                  : "sink did not take a batch; the sender is asked to try again",
            "tenant", batch->tenant, "dataset", batch->dataset, "filename", batch->filename, "cause",
            slot->text != NULL ? slot->text : "no reason given", NULL);
}

// What a completion means for its batch, before its sender hears of it.
static struct job *judge(struct bfr_port *port, const struct bfr_slot *slot, uint64_t now)
{
    struct job *job = slot->item;
    bfr_sink_figures_note(&port->figures, slot, now);
    if (slot->outcome == BFR_REJECT && slot->reason == BFR_REASON_CONFLICT)
        atomic_store(&job->conflict, true);
    if (slot->outcome == BFR_FATAL)
        atomic_store(&port->fatal, true);
    if (slot->outcome != BFR_STORED) {
        atomic_store(&job->failed, true);
        bfr_flows_failed(port->pipeline->flows, slot->view.batch, slot->text);
        log_failure(port, slot);
    }
    return job;
}

// Slots go back before senders are answered: whoever has its answer may post again at once, and finds room.
void bfr_direct_on_sink_done(void *arg, struct bfr_slot *list, size_t count)
{
    struct bfr_port *port = arg;
    uint64_t now = bfr_clock_now(port->pipeline->clock);
    (void)count;
    while (list != NULL) {
        struct job *jobs[BFR_PUT_MAX];
        struct bfr_slot *first = list, *last = list;
        size_t judged = 0;
        for (; list != NULL && judged < BFR_PUT_MAX; last = list, list = list->next)
            jobs[judged++] = judge(port, list, now);
        last->next = NULL;
        bfr_deliveries_recycle(port->entry, first);
        for (size_t i = 0; i < judged; i++)
            job_part_done(jobs[i]);
    }
    bfr_pipeline_note_progress(port->pipeline);
}
