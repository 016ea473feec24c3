// SPDX-License-Identifier: Apache-2.0
// The end of the pipeline: close the front, empty what is volatile (pipe_rescue.c when the stable queue does not take it),
// let deliveries finish, drain the stages from the front to the back, stop them from the back to the front, and say what is
// lost. Main thread.
//
// Stopping backwards is what lets a late completion still find its queue: a plugin may complete during its own stop,
// and the lease that it ends belongs to a stage further to the front.
#include "pipe_chain.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "pipe_rescue.h"
#include "pipe_wait.h"

#define LOSSES_NAMED 20 // by name in the log; the rest is counted

// --- waiting

typedef bool (*reached_fn)(struct bfr_pipeline *pipeline);

static uint64_t progress_now(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    uint64_t progress = pipeline->progress;
    pthread_mutex_unlock(&pipeline->lock);
    return progress;
}

// Sleep until somebody notes progress after `seen`.
static void progress_wait(struct bfr_pipeline *pipeline, uint64_t seen, uint64_t deadline_ns)
{
    pthread_mutex_lock(&pipeline->lock);
    while (pipeline->progress == seen && bfr_clock_now(pipeline->clock) < deadline_ns)
        bfr_cond_wait_until(&pipeline->changed, &pipeline->lock, pipeline->clock, deadline_ns);
    pthread_mutex_unlock(&pipeline->lock);
}

// Until `reached` or the deadline. `turning`: the pumps are gone and this thread takes their turns. A pipeline built
// without pumps lives on a clock that nobody moves meanwhile, so it waits only while there is something to do.
static void wait_for(struct bfr_pipeline *pipeline, reached_fn reached, bool turning, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t seen = progress_now(pipeline), now = bfr_clock_now(pipeline->clock);
        if (reached(pipeline) || now >= deadline_ns)
            return;
        if ((turning || !pipeline->pumps) && bfr_pipeline_step(pipeline) <= now)
            continue;
        if (reached(pipeline) || !pipeline->pumps)
            return;
        progress_wait(pipeline, seen, deadline_ns);
    }
}

// Nobody inside submit, and nothing of theirs on its way.
static bool intake_idle(struct bfr_pipeline *pipeline)
{
    if (atomic_load(&pipeline->submitting) > 0)
        return false;
    for (size_t i = 0; i < bfr_port_count(pipeline); i++) {
        if (pipeline->ports[i].entry != NULL && bfr_deliveries_count(pipeline->ports[i].entry) > 0)
            return false;
    }
    return true;
}

// Will nobody take anything out of this queue any more?
static bool port_hopeless(const struct bfr_pipeline *pipeline, const struct bfr_port *port)
{
    for (size_t i = 0; i < port->reader_count; i++) {
        if (!bfr_link_fatal(pipeline->runners[port->reader_first + i].link))
            return false;
    }
    return true;
}

static bool volatile_empty(struct bfr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        struct bfr_queue_stats stats;
        if (!pipeline->ports[i].is_volatile || port_hopeless(pipeline, &pipeline->ports[i]))
            continue;
        bfr_port_stats(&pipeline->ports[i], &stats);
        if (stats.held_batches > 0)
            return false;
    }
    return true;
}

static bool all_idle(struct bfr_pipeline *pipeline)
{
    if (!intake_idle(pipeline))
        return false;
    for (size_t i = 0; i < pipeline->runner_count; i++) {
        struct bfr_link *link = pipeline->runners[i].link;
        if (link != NULL && bfr_link_in_flight(link) > 0)
            return false;
    }
    return true;
}

// --- losses

struct losses {
    uint64_t count;
    uint32_t named;
    const struct bfr_batch *batches[LOSSES_NAMED]; // retained; so that one batch is named once
};

// The number makes each message one of a kind: the log folds repeats, and here every name counts.
static void loss_log(struct losses *losses, const char *queue, const char *what, const char *tenant,
                     const char *dataset, const char *filename)
{
    char message[128];
    snprintf(message, sizeof message, "%s (%u)", what, ++losses->named);
    bfr_say(BFR_LOG_ERROR, queue, message, "tenant", tenant, "dataset", dataset, "filename", filename, NULL);
}

static bool loss_is_named(const struct losses *losses, const struct bfr_batch *batch)
{
    for (uint32_t i = 0; i < LOSSES_NAMED; i++) {
        if (losses->batches[i] == batch)
            return true;
    }
    return false;
}

static void loss_name(struct losses *losses, const char *queue, const struct bfr_batch *batch)
{
    if (losses->named >= LOSSES_NAMED || loss_is_named(losses, batch))
        return;
    bfr_batch_retain(batch);
    losses->batches[losses->named] = batch;
    loss_log(losses, queue, "accepted batch is lost: it was not stored before the end", batch->tenant, batch->dataset,
             batch->filename);
}

// Borrow what a consumer has not got, to learn the names; all of it goes back.
static void losses_name_held(struct losses *losses, const struct bfr_port *port, uint32_t consumer)
{
    const struct bfr_queue_vtable *queue = bfr_stage_queue(port->stage);
    void *self = bfr_stage_self(port->stage);
    struct bfr_lease *leases[LOSSES_NAMED];
    struct bfr_nack nacks[LOSSES_NAMED];
    const struct bfr_nack *list[LOSSES_NAMED];
    uint64_t due;
    uint32_t count = 0, got = 1;
    // A probe's lease looks past not-before times and may lend one batch at a time.
    while (count < LOSSES_NAMED && got > 0) {
        const struct bfr_lease_request request = {.size = sizeof request,
                                                  .consumer = consumer,
                                                  .max_batches = LOSSES_NAMED - count,
                                                  .flags = BFR_LEASE_PROBE,
                                                  .max_bytes = UINT64_MAX};
        got = queue->lease(self, &request, leases + count, &due);
        count += got < request.max_batches ? got : request.max_batches;
    }
    for (uint32_t i = 0; i < count; i++) {
        loss_name(losses, bfr_stage_name(port->stage), leases[i]->batch);
        nacks[i] = (struct bfr_nack){.size = sizeof nacks[i], .attempts = leases[i]->attempts};
        list[i] = &nacks[i];
    }
    if (count > 0)
        queue->nack(self, consumer, leases, list, count);
}

struct letter_naming {
    struct losses *losses;
    const char *queue;
};

static bool name_letter(void *arg, const struct bfr_letter *letter)
{
    struct letter_naming *naming = arg;
    if (letter->reason == 0)
        return true; // held, named already
    if (naming->losses->named >= LOSSES_NAMED)
        return false;
    loss_log(naming->losses, naming->queue, "dead letter is lost: its queue does not outlive the process",
             letter->tenant, letter->dataset, letter->filename);
    return true;
}

// A queue need not be able to list its letters; then they are counted only.
static void losses_name_letters(struct losses *losses, const struct bfr_port *port)
{
    const struct bfr_queue_vtable *queue = bfr_stage_queue(port->stage);
    const struct bfr_filter all = {.size = sizeof all, .tenant = "*", .dataset = "*"};
    struct letter_naming naming = {losses, bfr_stage_name(port->stage)};
    if (BFR_HAS_CALL(queue, letters))
        queue->letters(bfr_stage_self(port->stage), &all, NULL, LOSSES_NAMED, name_letter, &naming);
}

static void losses_count(struct losses *losses, const struct bfr_port *port)
{
    struct bfr_queue_stats stats;
    if (!port->is_volatile)
        return;
    bfr_port_stats(port, &stats);
    losses->count += stats.held_batches + stats.buried_batches;
    for (uint32_t i = 0; stats.held_batches > 0 && i < port->reader_count; i++)
        losses_name_held(losses, port, i);
    if (stats.buried_batches > 0)
        losses_name_letters(losses, port);
}

static void losses_close(struct losses *losses)
{
    for (uint32_t i = 0; i < LOSSES_NAMED; i++) {
        if (losses->batches[i] != NULL)
            bfr_batch_release(losses->batches[i]);
    }
    if (losses->count > 0)
        bfr_say(BFR_LOG_ERROR, "pipeline", "accepted batches were lost at the end", "count",
                bfr_num((int64_t)losses->count).text, "not_named", bfr_num((int64_t)losses->count - losses->named).text,
                NULL);
}

// --- the steps

// Stable queues first: what they hold is safe, and the time belongs to what is not.
static void links_halt(struct bfr_pipeline *pipeline, bool volatile_too)
{
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        const struct bfr_port *port = &pipeline->ports[i];
        for (size_t j = 0; j < port->reader_count && (volatile_too || !port->is_volatile); j++)
            bfr_link_halt(pipeline->runners[port->reader_first + j].link);
    }
}

// The last fifth of the time is for what is in flight: a sink may be one that finishes its work only when it is
// drained.
static uint64_t drain_time(const struct bfr_pipeline *pipeline, uint64_t deadline_ns)
{
    uint64_t now = bfr_clock_now(pipeline->clock);
    return now < deadline_ns ? deadline_ns - (deadline_ns - now) / 5 : deadline_ns;
}

// Does a stable queue say that it has failed?
static bool stable_failed(struct bfr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        struct bfr_health health = {.size = sizeof health, .state = BFR_HEALTH_OK};
        if (pipeline->ports[i].is_volatile)
            continue;
        bfr_stage_health(pipeline->ports[i].stage, &health);
        if (health.state == BFR_HEALTH_FAILED)
            return true;
    }
    return false;
}

// How long the stable queue may take over what is volatile before the sinks are asked: half of the time, and an eighth when
// it says itself that it has failed.
static uint64_t trust_time(struct bfr_pipeline *pipeline, uint64_t drain_ns)
{
    uint64_t now = bfr_clock_now(pipeline->clock);
    if (!bfr_rescue_wanted(pipeline) || now >= drain_ns)
        return drain_ns;
    return now + (drain_ns - now) / (stable_failed(pipeline) ? 8 : 2);
}

// Tell the stages to finish. From here on a RETRY says "no time left" and is nobody's fault.
static void stages_drain(struct bfr_pipeline *pipeline, uint64_t deadline_ns)
{
    for (size_t i = 0; i < pipeline->runner_count; i++) {
        if (pipeline->runners[i].link != NULL)
            bfr_link_excuse(pipeline->runners[i].link);
    }
    for (size_t i = 0; i < bfr_port_count(pipeline); i++)
        bfr_stage_drain(pipeline->ports[i].stage, deadline_ns);
}

// When this returns no put is under way and none will follow, which is what drain demands.
static void pumps_stop(struct bfr_pipeline *pipeline)
{
    atomic_store(&pipeline->halted, true);
    if (pipeline->recovery != NULL)
        bfr_pump_stop(pipeline->recovery);
    for (size_t i = 0; i < pipeline->runner_count; i++) {
        if (pipeline->runners[i].pump != NULL)
            bfr_pump_stop(pipeline->runners[i].pump);
    }
}

// What the intake gave to this stage and never got back: not accepted.
static void entry_abort(struct bfr_pipeline *pipeline, struct bfr_port *port)
{
    if (port->runner != NULL)
        bfr_direct_turn(port); // halted: refuses what still stands at the inlet
    struct bfr_slot *list = bfr_deliveries_abort(port->entry);
    if (list == NULL)
        return;
    if (pipeline->queue_count > 0)
        bfr_intake_on_queue_done(port, list, 0);
    else
        bfr_direct_on_sink_done(port, list, 0);
}

// The stage is the last one that runs: count what it loses, stop it, take back what it never completed.
static void port_stop(struct bfr_pipeline *pipeline, struct bfr_port *port, struct losses *losses)
{
    if (bfr_stage_kind(port->stage) == BFR_KIND_QUEUE)
        losses_count(losses, port);
    bfr_stage_stop(port->stage);
    if (port->feeder != NULL) {
        (void)bfr_link_step(port->feeder); // halted: ends what was completed during stop
        bfr_link_abort(port->feeder);
    }
    if (port->entry != NULL)
        entry_abort(pipeline, port);
}

// What the stable queue has not taken by now goes straight into the sinks.
static void volatile_rescue(struct bfr_pipeline *pipeline, uint64_t deadline_ns)
{
    if (!bfr_rescue_wanted(pipeline))
        return;
    bfr_say(BFR_LOG_WARN, "pipeline", "the queue behind does not take what is in memory; it is offered to the sinks",
            NULL);
    wait_for(pipeline, bfr_rescue_ready, true, deadline_ns);
    bfr_rescue_run(pipeline, deadline_ns);
}

void bfr_pipeline_close(struct bfr_pipeline *pipeline)
{
    atomic_store(&pipeline->closed, true);
}

uint64_t bfr_pipeline_stop(struct bfr_pipeline *pipeline, uint64_t deadline_ns)
{
    struct losses losses = {0};
    bfr_pipeline_close(pipeline);
    if (!atomic_load(&pipeline->started))
        return 0;
    bfr_pipeline_await_visitors(pipeline);
    atomic_store(&pipeline->watched, true);
    uint64_t drain_ns = drain_time(pipeline, deadline_ns);
    wait_for(pipeline, intake_idle, false, drain_ns);
    links_halt(pipeline, false);
    wait_for(pipeline, volatile_empty, false, trust_time(pipeline, drain_ns));
    links_halt(pipeline, true);
    pumps_stop(pipeline);
    volatile_rescue(pipeline, drain_ns);
    stages_drain(pipeline, deadline_ns);
    wait_for(pipeline, all_idle, true, deadline_ns);
    for (size_t i = bfr_port_count(pipeline); i > 0; i--) {
        if (i == pipeline->queue_count)
            bfr_rescue_end(pipeline);
        port_stop(pipeline, &pipeline->ports[i - 1], &losses);
    }
    bfr_dedup_dismiss(pipeline->dedup, BFR_ANSWER_BUSY, "draining");
    atomic_store(&pipeline->started, false);
    losses_close(&losses);
    return losses.count;
}
