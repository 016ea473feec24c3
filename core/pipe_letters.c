// SPDX-License-Identifier: Apache-2.0
// What is done with dead letters, entered into the books at the moment a queue says that it happened. Any thread but a pump's;
// a lock shared by the callers keeps the queues from being stopped under them. Never decides what is redriven or purged:
// people do, and pipe_recovery.c.
#include "pipe_letters.h"

#include "pipe_chain.h"

// False: the queues do not run. Else leave() follows.
static bool enter(struct bfr_pipeline *pipeline)
{
    pthread_rwlock_rdlock(&pipeline->visitors);
    if (atomic_load(&pipeline->started) && !atomic_load(&pipeline->closed))
        return true;
    pthread_rwlock_unlock(&pipeline->visitors);
    return false;
}

static void leave(struct bfr_pipeline *pipeline)
{
    pthread_rwlock_unlock(&pipeline->visitors);
}

void bfr_pipeline_await_visitors(struct bfr_pipeline *pipeline)
{
    pthread_rwlock_wrlock(&pipeline->visitors);
    pthread_rwlock_unlock(&pipeline->visitors);
}

static void book(struct bfr_pipeline *pipeline, uint32_t move, const struct bfr_letter *letter)
{
    // Without memory for a row of its own the tenant is counted with the others that have none.
    (void)bfr_ledger_admit(pipeline->ledger, letter->tenant);
    const struct bfr_booking booking = {.move = move, .tenant = letter->tenant, .bytes = letter->body_bytes};
    bfr_ledger_book(pipeline->ledger, &booking, 1);
    bfr_pipeline_note_progress(pipeline);
}

struct redrive {
    struct bfr_pipeline *pipeline;
    uint32_t by; // enum bfr_redriven_by
};

// Its key stays known, but what was said of it is not true any more.
static void on_moved(void *arg, const struct bfr_letter *letter)
{
    const struct redrive *redrive = arg;
    book(redrive->pipeline, BFR_MOVE_REDRIVEN, letter);
    bfr_series_add(redrive->pipeline->figures.redriven[redrive->by], 1);
    bfr_dedup_reopen(redrive->pipeline->dedup, letter->tenant, letter->dataset, letter->filename);
}

static void on_gone(void *arg, const struct bfr_letter *letter)
{
    struct bfr_pipeline *pipeline = arg;
    book(pipeline, letter->reason == 0 ? BFR_MOVE_PURGED_HELD : BFR_MOVE_PURGED_BURIED, letter);
    bfr_dedup_forget(pipeline->dedup, letter->tenant, letter->dataset, letter->filename);
}

// Letters are the last queue's.
static const struct bfr_port *letter_port(const struct bfr_pipeline *pipeline)
{
    return pipeline->queue_count == 0 ? NULL : &pipeline->ports[pipeline->queue_count - 1];
}

bool bfr_pipeline_letters(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, const char *cursor,
                          uint32_t limit, bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    if (!enter(pipeline))
        return false;
    const struct bfr_port *port = letter_port(pipeline);
    const struct bfr_queue_vtable *queue = port == NULL ? NULL : bfr_stage_queue(port->stage);
    if (queue != NULL && BFR_HAS_CALL(queue, letters))
        (void)queue->letters(bfr_stage_self(port->stage), filter, cursor, limit, visit, arg);
    leave(pipeline);
    return true;
}

static bool redrive_by(struct bfr_pipeline *pipeline, uint32_t by, const struct bfr_filter *filter, bool dry_run,
                       uint64_t *out_count)
{
    struct redrive redrive = {pipeline, by};
    *out_count = 0;
    if (!enter(pipeline))
        return false;
    const struct bfr_port *port = letter_port(pipeline);
    const struct bfr_queue_vtable *queue = port == NULL ? NULL : bfr_stage_queue(port->stage);
    if (queue != NULL && BFR_HAS_CALL(queue, redrive))
        *out_count = queue->redrive(bfr_stage_self(port->stage), filter, dry_run, on_moved, &redrive);
    leave(pipeline);
    return true;
}

bool bfr_pipeline_redrive(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool dry_run,
                          uint64_t *out_count)
{
    return redrive_by(pipeline, BFR_REDRIVEN_BY_REQUEST, filter, dry_run, out_count);
}

bool bfr_pipeline_recover(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, uint64_t *out_count)
{
    return redrive_by(pipeline, BFR_REDRIVEN_BY_RECOVERY, filter, false, out_count);
}

// From the front to the back: what moves on meanwhile is met again.
bool bfr_pipeline_purge(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool held, bool dry_run,
                        uint64_t *out_count)
{
    *out_count = 0;
    if (!enter(pipeline))
        return false;
    for (size_t i = held || pipeline->queue_count == 0 ? 0 : pipeline->queue_count - 1; i < pipeline->queue_count;
         i++) {
        struct bfr_stage *stage = pipeline->ports[i].stage;
        const struct bfr_queue_vtable *queue = bfr_stage_queue(stage);
        if (BFR_HAS_CALL(queue, purge))
            *out_count += queue->purge(bfr_stage_self(stage), filter, held, dry_run, on_gone, pipeline);
    }
    leave(pipeline);
    return true;
}
