// SPDX-License-Identifier: Apache-2.0
// What the pipeline tells others about itself: ready or not, the ledger, the health of its stages. Any thread; changes
// nothing.
#include "pipe_chain.h"

#include <string.h>

// --- ready

void bfr_port_stats(const struct bfr_port *port, struct bfr_queue_stats *out)
{
    enum bfr_stage_state state = bfr_stage_state(port->stage);
    *out = (struct bfr_queue_stats){.size = sizeof *out};
    if (state == BFR_STAGE_STARTED || state == BFR_STAGE_DRAINING)
        bfr_stage_queue(port->stage)->stats(bfr_stage_self(port->stage), out);
}

// Batches hardly ever fill a queue to its last byte: it is full when it refuses what commonly comes. This much room
// stands for that, less in a small queue.
#define ORDINARY_BATCH_BYTES (UINT64_C(1) << 20)

// What a queue keeps back, and for what, is known to its admission alone: so that is asked, as for a batch, and what it
// gives goes back at once. A tenant's share does not matter here.
static bool is_refusing(const struct bfr_port *port, uint64_t room)
{
    static const char tenant[] = "";
    const struct bfr_queue_vtable *queue = bfr_stage_queue(port->stage);
    if (!port->rationed || bfr_stage_state(port->stage) != BFR_STAGE_STARTED)
        return false;
    uint32_t answer = queue->reserve(bfr_stage_self(port->stage), tenant, room);
    if (answer == BFR_ROOM_OK)
        queue->release(bfr_stage_self(port->stage), tenant, room);
    return answer == BFR_ROOM_FULL;
}

static bool queue_full(const struct bfr_port *port)
{
    struct bfr_queue_stats stats;
    bfr_port_stats(port, &stats);
    uint64_t sixteenth = stats.limit_bytes / 16;
    uint64_t room = stats.limit_bytes == 0 || sixteenth > ORDINARY_BATCH_BYTES ? ORDINARY_BATCH_BYTES : sixteenth;
    if (stats.limit_bytes > 0 && stats.used_bytes + room > stats.limit_bytes)
        return true;
    return is_refusing(port, room);
}

static const char *why_unready(struct bfr_pipeline *pipeline)
{
    if (atomic_load(&pipeline->closed))
        return "draining";
    if (!atomic_load(&pipeline->started))
        return "starting";
    for (size_t i = 0; i < bfr_port_count(pipeline); i++) {
        if (pipeline->ports[i].entry != NULL && atomic_load(&pipeline->ports[i].fatal))
            return "the first stage has failed";
    }
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        if (queue_full(&pipeline->ports[i]))
            return "a queue is full";
    }
    return NULL;
}

bool bfr_pipeline_ready(struct bfr_pipeline *pipeline, const char **out_reason)
{
    const char *reason = why_unready(pipeline);
    if (reason != NULL && out_reason != NULL)
        *out_reason = reason;
    return reason == NULL;
}

// --- the books

void bfr_pipeline_ledger(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_ledger_row *row),
                         void *arg)
{
    bfr_ledger_visit(pipeline->ledger, visit, arg);
}

int64_t bfr_pipeline_unaccounted(struct bfr_pipeline *pipeline)
{
    return bfr_ledger_unaccounted(pipeline->ledger);
}

// --- health

// The worse of what the plugin says and what its deliveries show.
static void port_health(struct bfr_port *port, struct bfr_health *out)
{
    struct bfr_health seen = {.size = sizeof seen, .state = BFR_HEALTH_OK};
    bfr_stage_health(port->stage, out);
    if (port->feeder != NULL)
        bfr_link_health(port->feeder, &seen);
    if (atomic_load(&port->fatal)) {
        seen.state = BFR_HEALTH_FAILED;
        strcpy(seen.reason, "failed; it takes no batches until it is reloaded or the daemon restarted");
    }
    if (seen.state > out->state)
        *out = seen;
}

bool bfr_pipeline_stages(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_stage_status *stage),
                         void *arg)
{
    for (size_t i = 0; i < bfr_port_count(pipeline); i++) {
        struct bfr_port *port = &pipeline->ports[i];
        struct bfr_health health = {.size = sizeof health, .state = BFR_HEALTH_OK};
        port_health(port, &health);
        const struct bfr_stage_status status = {
            .size = sizeof status,
            .kind = bfr_stage_kind(port->stage),
            .stage = bfr_stage_name(port->stage),
            .plugin = bfr_stage_plugin(port->stage)->name,
            .state = health.state,
            .reason = health.reason,
        };
        if (!visit(arg, &status))
            return false;
    }
    return true;
}

// --- figures

void bfr_pipeline_queues(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_queue_status *queue),
                         void *arg)
{
    for (size_t i = 0; i < pipeline->queue_count; i++) {
        const struct bfr_port *port = &pipeline->ports[i];
        struct bfr_queue_status status = {.name = bfr_stage_name(port->stage),
                                          .plugin = bfr_stage_plugin(port->stage)->name,
                                          .is_volatile = port->is_volatile};
        bfr_port_stats(port, &status.stats);
        if (!visit(arg, &status))
            return;
    }
}

void bfr_pipeline_sinks(struct bfr_pipeline *pipeline, bool (*visit)(void *arg, const struct bfr_sink_status *sink),
                        void *arg)
{
    for (size_t i = pipeline->queue_count; i < bfr_port_count(pipeline); i++) {
        const struct bfr_port *port = &pipeline->ports[i];
        const struct bfr_sink_status status = {.name = bfr_stage_name(port->stage),
                                               .plugin = bfr_stage_plugin(port->stage)->name,
                                               .in_flight = bfr_deliveries_count(port->deliveries),
                                               .breaker_open =
                                                   port->feeder != NULL && bfr_link_breaker_open(port->feeder)};
        if (!visit(arg, &status))
            return;
    }
}
