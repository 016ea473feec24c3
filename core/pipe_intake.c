// SPDX-License-Identifier: Apache-2.0
// The front door: reserves room, claims the key, puts the batch into the first queue, and turns the outcome into an
// answer. Runs on the loops; completions arrive on the queue's thread, often from inside put. Holds no lock while
// calling out.
//
// A batch under way is a slot of the first queue's delivery table whose item is its claim: that is all the state there
// is.
#include "pipe_chain.h"

#include <string.h>

#include "log.h"

static const char text_draining[] = "draining";
static const char text_memory[] = "out of memory";
static const char text_full[] = "the first queue has no room";
static const char text_failed[] = "the first queue could not take the batch";
static const char text_fatal[] = "the first queue has failed";

// --- room

uint32_t bfr_intake_reserve(struct bfr_pipeline *pipeline, const char *tenant, uint64_t bytes)
{
    uint32_t room = BFR_ROOM_OK;
    size_t at = 0;
    for (; at < pipeline->queue_count && room == BFR_ROOM_OK; at++) {
        struct bfr_port *port = &pipeline->ports[at];
        if (port->rationed)
            room = bfr_stage_queue(port->stage)->reserve(bfr_stage_self(port->stage), tenant, bytes);
    }
    if (room == BFR_ROOM_OK)
        return room;
    for (size_t i = 0; i + 1 < at; i++) { // the last one asked gave nothing
        struct bfr_port *port = &pipeline->ports[i];
        if (port->rationed)
            bfr_stage_queue(port->stage)->release(bfr_stage_self(port->stage), tenant, bytes);
    }
    return room;
}

void bfr_intake_release(struct bfr_pipeline *pipeline, const char *tenant, uint64_t bytes)
{
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        struct bfr_port *port = &pipeline->ports[i];
        if (port->rationed)
            bfr_stage_queue(port->stage)->release(bfr_stage_self(port->stage), tenant, bytes);
    }
}

uint64_t bfr_intake_evict(struct bfr_pipeline *pipeline, uint64_t bytes)
{
    uint64_t freed = 0;
    if (!atomic_load(&pipeline->started))
        return 0;
    // From behind: what has come farthest is the safest to read back.
    for (size_t i = pipeline->queue_count; i > 0 && freed < bytes; i--) {
        const struct bfr_queue_vtable *queue = bfr_stage_queue(pipeline->ports[i - 1].stage);
        if (BFR_HAS_CALL(queue, evict))
            freed += queue->evict(bfr_stage_self(pipeline->ports[i - 1].stage), bytes - freed);
    }
    return freed;
}

// --- the way in

// The batch is not going in: its room and the reference go back.
static void batch_turn_away(struct bfr_pipeline *pipeline, const struct bfr_batch *batch)
{
    bfr_intake_release(pipeline, batch->tenant, batch->body_bytes);
    bfr_batch_release(batch);
}

static void claim_fail(struct bfr_pipeline *pipeline, const struct bfr_batch *batch, struct bfr_claim *claim,
                       const char *text)
{
    batch_turn_away(pipeline, batch);
    bfr_dedup_fail(pipeline->dedup, claim, BFR_ANSWER_BUSY, text);
}

// A claim that is new is this thread's to put; from the put on it is whoever completes it.
static void queue_submit(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_claim *claim)
{
    struct bfr_port *port = &pipeline->ports[0];
    struct bfr_slot *slot;
    if (atomic_load(&port->fatal)) {
        claim_fail(pipeline, batch, claim, text_fatal);
        return;
    }
    if (bfr_deliveries_open(port->entry, &slot, 1) == 0) {
        claim_fail(pipeline, batch, claim, text_memory);
        return;
    }
    slot->view.batch = batch;
    slot->item = claim;
    if (bfr_deliveries_put(port->entry, &slot, 1, bfr_clock_now(pipeline->clock)) == 1)
        return; // on_queue_done has taken over, or will
    bfr_deliveries_recycle(port->entry, slot);
    claim_fail(pipeline, batch, claim, text_full);
}

// The ledger's row comes first: afterwards no booking of this batch can fail.
static void submit_open(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_waiter *waiter)
{
    struct bfr_claim *claim = NULL;
    uint32_t claimed = BFR_CLAIMED_NO_MEMORY;
    if (bfr_ledger_admit(pipeline->ledger, batch->tenant))
        claimed = bfr_dedup_claim(pipeline->dedup, batch, waiter, &claim);
    if (claimed == BFR_CLAIMED_NEW && pipeline->queue_count > 0) {
        queue_submit(pipeline, batch, claim);
    } else if (claimed == BFR_CLAIMED_NEW) {
        bfr_direct_submit(pipeline, batch, claim);
    } else {
        batch_turn_away(pipeline, batch);
        if (claimed == BFR_CLAIMED_NO_MEMORY)
            waiter->on_answer(waiter, BFR_ANSWER_BUSY, text_memory);
    }
}

void bfr_intake_submit(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_waiter *waiter)
{
    waiter->next = NULL;
    waiter->owner = NULL;
    // Counted before `closed` is looked at: stop closes first and then waits for the count.
    atomic_fetch_add(&pipeline->submitting, 1);
    if (atomic_load(&pipeline->closed) || !atomic_load(&pipeline->started)) {
        batch_turn_away(pipeline, batch);
        waiter->on_answer(waiter, BFR_ANSWER_BUSY, text_draining);
    } else {
        submit_open(pipeline, batch, waiter);
    }
    atomic_fetch_sub(&pipeline->submitting, 1);
    bfr_pipeline_note_progress(pipeline);
}

bool bfr_intake_abandon(struct bfr_pipeline *pipeline, struct bfr_waiter *waiter)
{
    return bfr_dedup_abandon(pipeline->dedup, waiter);
}

// --- what the first queue says

static void log_failure(const struct bfr_port *port, const struct bfr_slot *slot)
{
    const struct bfr_batch *batch = slot->view.batch;
    bfr_say(BFR_LOG_WARN, bfr_stage_name(port->stage), "queue did not take a batch; the sender is asked to try again",
            "tenant", batch->tenant, "dataset", batch->dataset, "filename", batch->filename, "cause",
            slot->text != NULL ? slot->text : "no reason given", NULL);
}

// One lock of the ledger for as many of the list as fit; returns the first slot not booked.
static const struct bfr_slot *book_accepted(struct bfr_pipeline *pipeline, const struct bfr_slot *list)
{
    struct bfr_booking bookings[BFR_PUT_MAX];
    size_t count = 0;
    for (; list != NULL && count < BFR_PUT_MAX; list = list->next) {
        const struct bfr_batch *batch = list->view.batch;
        if (list->outcome != BFR_STORED)
            continue;
        bookings[count++] =
            (struct bfr_booking){.move = BFR_MOVE_ACCEPTED, .tenant = batch->tenant, .bytes = batch->body_bytes};
        bfr_flows_accepted(pipeline->flows, batch);
        if (bfr_tap_is_open(pipeline->tap))
            bfr_tap_write(pipeline->tap, batch, false);
    }
    bfr_ledger_book(pipeline->ledger, bookings, count);
    return list;
}

// The books are done; now the key, the room, the sender, and last the reference.
static void slot_settle(struct bfr_port *port, const struct bfr_slot *slot)
{
    struct bfr_pipeline *pipeline = port->pipeline;
    const struct bfr_batch *batch = slot->view.batch;
    struct bfr_claim *claim = slot->item;
    if (slot->outcome == BFR_STORED) {
        bfr_dedup_accept(pipeline->dedup, claim, pipeline->entry_level);
        bfr_batch_release(batch);
        return;
    }
    if (slot->outcome == BFR_FATAL)
        atomic_store(&port->fatal, true);
    log_failure(port, slot);
    claim_fail(pipeline, batch, claim, slot->outcome == BFR_FATAL ? text_fatal : text_failed);
}

void bfr_intake_on_queue_done(void *arg, struct bfr_slot *list, size_t count)
{
    struct bfr_port *port = arg;
    (void)count;
    for (const struct bfr_slot *at = list; at != NULL;)
        at = book_accepted(port->pipeline, at);
    for (const struct bfr_slot *slot = list; slot != NULL; slot = slot->next)
        slot_settle(port, slot);
    bfr_deliveries_recycle(port->entry, list);
    bfr_pipeline_note_progress(port->pipeline);
}
