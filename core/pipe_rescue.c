// SPDX-License-Identifier: Apache-2.0
// See pipe_rescue.h. A batch is leased in the stable queue's place, offered to every sink, and settled in the volatile queue
// when all have answered. One group after another, on the main thread; the sinks' threads touch the inboxes alone. Nothing is
// charged and no breaker asked: it is the last try, and trying is all that it costs.
#include "pipe_rescue.h"

#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "log.h"
#include "pipe_wait.h"

#define GROUP    BFR_PUT_MAX
#define PAUSE_NS (BFR_NS_PER_S / 5) // after a group of which nothing was saved

// One batch under way to all sinks.
struct job {
    struct bfr_lease *lease;
    size_t open; // sinks that have not answered
    bool failed;
    uint32_t reason; // a sink will never have it: enum bfr_reason; 0: none has said so
};

// The deliveries to one sink, in the place of those of the link that fed it.
struct lane {
    struct bfr_rescue *rescue;
    struct bfr_port *port;
    struct bfr_deliveries *deliveries;
    struct bfr_deliveries *before;
    pthread_mutex_t lock; // guards the inbox
    struct bfr_slot *done_first, **done_last;
};

struct bfr_rescue {
    struct bfr_pipeline *pipeline;
    const struct bfr_port *source; // whose leases the jobs have
    struct job jobs[GROUP];
    uint32_t count, open; // jobs; those that some sink has not answered
    uint32_t group;       // most jobs at once: what the narrowest sink takes
    uint64_t saved;
    size_t lane_count;
    struct lane lanes[];
};

// --- the sinks' answers

static void on_done(void *arg, struct bfr_slot *list, size_t count)
{
    struct lane *lane = arg;
    (void)count;
    pthread_mutex_lock(&lane->lock);
    *lane->done_last = list;
    while (*lane->done_last != NULL)
        lane->done_last = &(*lane->done_last)->next;
    pthread_mutex_unlock(&lane->lock);
    bfr_pipeline_note_progress(lane->rescue->pipeline);
}

static struct bfr_slot *inbox_take(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    struct bfr_slot *done = lane->done_first;
    lane->done_first = NULL;
    lane->done_last = &lane->done_first;
    pthread_mutex_unlock(&lane->lock);
    return done;
}

static void job_part_done(struct bfr_rescue *rescue, struct job *job)
{
    job->open--;
    rescue->open -= job->open == 0 ? 1 : 0;
}

static void job_note(struct lane *lane, const struct bfr_slot *slot)
{
    struct job *job = slot->item;
    bfr_sink_figures_note(&lane->port->figures, slot, bfr_clock_now(lane->rescue->pipeline->clock));
    if (slot->outcome == BFR_REJECT)
        job->reason = slot->reason >= BFR_REASON_CONFLICT && slot->reason < BFR_REASON_COUNT
                          ? slot->reason
                          : (uint32_t)BFR_REASON_REJECTED;
    job->failed |= slot->outcome != BFR_STORED;
    job_part_done(lane->rescue, job);
}

static void lane_judge(struct lane *lane, struct bfr_slot *list)
{
    for (struct bfr_slot *slot = list; slot != NULL; slot = slot->next)
        job_note(lane, slot);
    bfr_deliveries_recycle(lane->deliveries, list);
}

static void answers_take(struct bfr_rescue *rescue)
{
    for (size_t i = 0; i < rescue->lane_count; i++)
        lane_judge(&rescue->lanes[i], inbox_take(&rescue->lanes[i]));
}

// --- one group

// A probe's lease looks past the not-before times that the failing queue has earned the batches.
static void jobs_lease(struct bfr_rescue *rescue)
{
    const struct bfr_queue_vtable *queue = bfr_stage_queue(rescue->source->stage);
    rescue->count = rescue->open = 0;
    for (uint32_t got = 1; got > 0 && rescue->count < rescue->group;) {
        const struct bfr_lease_request request = {
            .size = sizeof request, .max_batches = 1, .flags = BFR_LEASE_PROBE, .max_bytes = UINT64_MAX};
        struct bfr_lease *lease;
        uint64_t due;
        got = queue->lease(bfr_stage_self(rescue->source->stage), &request, &lease, &due);
        if (got > 0)
            rescue->jobs[rescue->count++] = (struct job){.lease = lease, .open = rescue->lane_count};
    }
    rescue->open = rescue->count;
}

static void job_refused(struct bfr_rescue *rescue, struct job *job)
{
    job->failed = true;
    job_part_done(rescue, job);
}

// What a sink has no room for has failed, for this time.
static void lane_offer(struct lane *lane, uint64_t now)
{
    struct bfr_rescue *rescue = lane->rescue;
    struct bfr_slot *slots[GROUP];
    size_t opened = bfr_deliveries_open(lane->deliveries, slots, rescue->count);
    for (size_t i = 0; i < opened; i++) {
        slots[i]->view.batch = rescue->jobs[i].lease->batch;
        slots[i]->item = &rescue->jobs[i];
    }
    if (opened > 0)
        (void)bfr_deliveries_put(lane->deliveries, slots, opened, now);
    for (size_t i = 0; i < opened; i++) {
        if (slots[i] == NULL)
            continue;
        job_refused(rescue, slots[i]->item);
        slots[i]->next = NULL;
        bfr_deliveries_recycle(lane->deliveries, slots[i]);
    }
    for (size_t i = opened; i < rescue->count; i++)
        job_refused(rescue, &rescue->jobs[i]);
}

static void job_book(const struct bfr_rescue *rescue, const struct bfr_batch *batch, uint32_t settled)
{
    const struct bfr_booking booking = {
        .move = settled == BFR_SETTLED_BURIED ? BFR_MOVE_BURIED : BFR_MOVE_STORED,
        .tenant = batch->tenant,
        .bytes = batch->body_bytes,
    };
    bfr_ledger_book(rescue->pipeline->ledger, &booking, 1);
}

static void job_stored(struct bfr_rescue *rescue, struct job *job)
{
    const struct bfr_queue_vtable *queue = bfr_stage_queue(rescue->source->stage);
    const struct bfr_batch *batch = job->lease->batch;
    uint32_t settled = 0;
    bfr_batch_retain(batch); // the books need its names after the ack
    queue->ack(bfr_stage_self(rescue->source->stage), 0, &job->lease, 1, &settled);
    job_book(rescue, batch, settled);
    bfr_dedup_reach(rescue->pipeline->dedup, batch, BFR_ACK_SINK);
    bfr_batch_release(batch);
    rescue->saved++;
}

static void job_buried(struct bfr_rescue *rescue, struct job *job)
{
    const struct bfr_queue_vtable *queue = bfr_stage_queue(rescue->source->stage);
    const struct bfr_batch *batch = job->lease->batch;
    const struct bfr_burial burial = {.size = sizeof burial,
                                      .reason = job->reason,
                                      .attempts = job->lease->attempts + 1,
                                      .text = "a sink will not have it"};
    const struct bfr_burial *list = &burial;
    uint32_t settled = 0;
    bfr_batch_retain(batch);
    queue->bury(bfr_stage_self(rescue->source->stage), 0, &job->lease, &list, 1, &settled);
    job_book(rescue, batch, BFR_SETTLED_BURIED);
    bfr_series_add(rescue->pipeline->figures.buried[job->reason], 1);
    bfr_dedup_bury(rescue->pipeline->dedup, batch, job->reason, true);
    bfr_batch_release(batch);
}

static void job_again(struct bfr_rescue *rescue, struct job *job)
{
    const struct bfr_queue_vtable *queue = bfr_stage_queue(rescue->source->stage);
    const struct bfr_nack nack = {.size = sizeof nack, .attempts = job->lease->attempts};
    const struct bfr_nack *list = &nack;
    queue->nack(bfr_stage_self(rescue->source->stage), 0, &job->lease, &list, 1);
}

static void jobs_end(struct bfr_rescue *rescue)
{
    for (uint32_t i = 0; i < rescue->count; i++) {
        struct job *job = &rescue->jobs[i];
        if (job->reason != 0)
            job_buried(rescue, job);
        else if (job->failed)
            job_again(rescue, job);
        else
            job_stored(rescue, job);
    }
    rescue->count = 0;
}

// --- all of them

static uint64_t progress_now(struct bfr_pipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    uint64_t progress = pipeline->progress;
    pthread_mutex_unlock(&pipeline->lock);
    return progress;
}

// Until there is progress after `seen`, or it is time.
static void wait_progress(struct bfr_pipeline *pipeline, uint64_t seen, uint64_t until_ns)
{
    pthread_mutex_lock(&pipeline->lock);
    while (pipeline->progress == seen && bfr_clock_now(pipeline->clock) < until_ns)
        bfr_cond_wait_until(&pipeline->changed, &pipeline->lock, pipeline->clock, until_ns);
    pthread_mutex_unlock(&pipeline->lock);
}

// The answers to a group. A pipeline without pumps has a clock that nobody moves meanwhile: it does not wait.
static bool answers_wait(struct bfr_rescue *rescue, uint64_t deadline_ns)
{
    struct bfr_pipeline *pipeline = rescue->pipeline;
    for (;;) {
        uint64_t seen = progress_now(pipeline);
        answers_take(rescue);
        if (rescue->open == 0)
            return true;
        if (!pipeline->pumps || bfr_clock_now(pipeline->clock) >= deadline_ns)
            return false;
        wait_progress(pipeline, seen, deadline_ns);
    }
}

// True when there may be more to save.
static bool save_group(struct bfr_rescue *rescue, uint64_t deadline_ns)
{
    struct bfr_pipeline *pipeline = rescue->pipeline;
    uint64_t saved = rescue->saved, now = bfr_clock_now(pipeline->clock);
    (void)bfr_pipeline_step(pipeline); // halted: what the queue behind has given back meanwhile can be leased again
    jobs_lease(rescue);
    if (rescue->count == 0)
        return false;
    for (size_t i = 0; i < rescue->lane_count; i++)
        lane_offer(&rescue->lanes[i], now);
    if (!answers_wait(rescue, deadline_ns))
        return false; // these end with the sinks
    jobs_end(rescue);
    if (saved != rescue->saved)
        return true;
    uint64_t again = now + PAUSE_NS < deadline_ns ? now + PAUSE_NS : deadline_ns;
    while (pipeline->pumps && bfr_clock_now(pipeline->clock) < again)
        wait_progress(pipeline, progress_now(pipeline), again);
    return pipeline->pumps;
}

// Lanes are there when every sink is idle: until then its completions belong to its link.
static struct bfr_rescue *rescue_new(struct bfr_pipeline *pipeline)
{
    struct bfr_rescue *rescue = calloc(1, sizeof *rescue + pipeline->sink_count * sizeof rescue->lanes[0]);
    if (rescue == NULL)
        return NULL;
    rescue->pipeline = pipeline;
    rescue->group = GROUP;
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        struct lane *lane = &rescue->lanes[i];
        struct bfr_port *port = &pipeline->ports[pipeline->queue_count + i];
        lane->rescue = rescue;
        lane->port = port;
        lane->done_last = &lane->done_first;
        lane->before = port->deliveries;
        lane->deliveries = bfr_deliveries_new(port->stage, &pipeline->tokens, port->window, on_done, lane);
        pthread_mutex_init(&lane->lock, NULL);
        rescue->group = port->window < rescue->group ? port->window : rescue->group;
        rescue->lane_count++;
        if (lane->deliveries != NULL)
            port->deliveries = lane->deliveries;
    }
    return rescue;
}

static bool lanes_whole(const struct bfr_rescue *rescue)
{
    for (size_t i = 0; i < rescue->lane_count; i++)
        if (rescue->lanes[i].deliveries == NULL)
            return false;
    return true;
}

bool bfr_rescue_ready(struct bfr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->sink_count; i++) {
        const struct bfr_port *port = &pipeline->ports[pipeline->queue_count + i];
        if (port->feeder == NULL || bfr_link_in_flight(port->feeder) > 0)
            return false;
    }
    return true;
}

// The volatile queues before the first stable one; 0 when there is none. Behind it, the links do what can be done.
static size_t front_count(const struct bfr_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        if (!pipeline->ports[i].is_volatile)
            return i;
    }
    return 0;
}

bool bfr_rescue_wanted(struct bfr_pipeline *pipeline)
{
    for (size_t i = 0; i < front_count(pipeline); i++) {
        struct bfr_queue_stats stats;
        bfr_port_stats(&pipeline->ports[i], &stats);
        if (stats.held_batches > 0)
            return true;
    }
    return false;
}

void bfr_rescue_run(struct bfr_pipeline *pipeline, uint64_t deadline_ns)
{
    struct bfr_rescue *rescue = bfr_rescue_ready(pipeline) ? rescue_new(pipeline) : NULL;
    if (rescue == NULL)
        return;
    pipeline->rescue = rescue;
    for (size_t i = 0; i < front_count(pipeline) && lanes_whole(rescue); i++) {
        rescue->source = &pipeline->ports[i];
        while (bfr_clock_now(pipeline->clock) < deadline_ns && save_group(rescue, deadline_ns))
            ;
        if (rescue->count > 0)
            break; // the time is up, and they are still under way
    }
}

void bfr_rescue_end(struct bfr_pipeline *pipeline)
{
    struct bfr_rescue *rescue = pipeline->rescue;
    if (rescue == NULL)
        return;
    answers_take(rescue);
    for (size_t i = 0; i < rescue->lane_count; i++) {
        struct lane *lane = &rescue->lanes[i];
        if (lane->deliveries != NULL)
            lane_judge(lane, bfr_deliveries_abort(lane->deliveries));
        lane->port->deliveries = lane->before;
        bfr_deliveries_free(lane->deliveries);
        pthread_mutex_destroy(&lane->lock);
    }
    jobs_end(rescue);
    if (rescue->saved > 0)
        bfr_say(BFR_LOG_WARN, "pipeline", "the stable queue failed; batches went straight into the sinks", "count",
                bfr_num((int64_t)rescue->saved).text, NULL);
    free(rescue);
    pipeline->rescue = NULL;
}
