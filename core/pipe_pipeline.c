// SPDX-License-Identifier: Apache-2.0
// Building the pipeline: checks its shape and wires stages, links and pumps. Starts nothing and never touches a batch.
// Main thread; the hooks run on the plugins' threads.
#include "pipe_chain.h"

#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "pipe_recovery.h"
#include "pipe_wait.h"

// Batches in flight into a queue: enough to fill its group commits. They stay in the queue before until it is done.
#define QUEUE_WINDOW      1024
#define SINK_WINDOW       32 // when the sink does not say
#define SINK_WINDOW_MAX   4096
#define FIRST_QUEUE_LIMIT 262144 // puts in flight; every one is a request that waits

// --- progress

void bfr_pipeline_note_progress(struct bfr_pipeline *pipeline)
{
    if (!atomic_load(&pipeline->watched))
        return;
    pthread_mutex_lock(&pipeline->lock);
    pipeline->progress++;
    pthread_mutex_unlock(&pipeline->lock);
    pthread_cond_broadcast(&pipeline->changed);
}

// --- hooks

static void on_complete(void *arg, const struct bfr_completion *const *completions, size_t count)
{
    struct bfr_port *port = arg;
    bfr_deliveries_complete(port->deliveries, completions, count);
}

// From a queue this can mean either: room for who puts into it, or batches for who leases from it.
static void on_ready(void *arg)
{
    struct bfr_port *port = arg;
    struct bfr_pipeline *pipeline = port->pipeline;
    if (port->feeder != NULL)
        bfr_link_target_ready(port->feeder);
    for (size_t i = 0; i < port->reader_count; i++)
        bfr_link_source_ready(pipeline->runners[port->reader_first + i].link);
}

void bfr_runner_wake(struct bfr_runner *runner)
{
    if (runner->pump != NULL)
        bfr_pump_wake(runner->pump);
    bfr_pipeline_note_progress(runner->pipeline); // at the end the main thread turns for the pumps
}

static void wake_runner(void *arg)
{
    bfr_runner_wake(arg);
}

static uint64_t runner_turn(struct bfr_runner *runner)
{
    if (runner->link != NULL)
        return bfr_link_step(runner->link);
    bfr_direct_turn(runner->inlet);
    return UINT64_MAX;
}

static uint64_t pump_turn(void *arg)
{
    struct bfr_runner *runner = arg;
    uint64_t due = runner_turn(runner);
    bfr_pipeline_note_progress(runner->pipeline);
    return due;
}

// --- shape

static bool is_stable(const struct bfr_stage *stage)
{
    return (bfr_stage_plugin(stage)->flags & BFR_FLAG_STABLE) != 0;
}

static uint32_t check_kinds(struct bfr_stage *const *stages, size_t count, uint32_t kind, const char *what,
                            struct bfr_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (bfr_stage_kind(stages[i]) != kind)
            return bfr_err_set(err, BFR_EINVAL, "pipeline: stage '%s' stands where a %s is needed",
                               bfr_stage_name(stages[i]), what);
    }
    return BFR_OK;
}

static bool any_stable(const struct bfr_pipeline_setup *setup)
{
    for (size_t i = 0; i < setup->queue_count; i++) {
        if (is_stable(setup->queues[i]))
            return true;
    }
    return false;
}

static uint32_t check_shape(const struct bfr_pipeline_setup *setup, struct bfr_err *err)
{
    uint32_t ack = setup->settings->ack;
    if (setup->sink_count == 0)
        return bfr_err_set(err, BFR_EINVAL, "pipeline: no sink; add one as the last stage, for example 'plugin: fs'");
    if (ack == BFR_ACK_MEMORY && setup->queue_count == 0)
        return bfr_err_set(err, BFR_EINVAL,
                           "pipeline: 'ack: memory' needs a queue; add 'plugin: memory' or set 'ack: sink'");
    if (ack == BFR_ACK_DISK && !any_stable(setup))
        return bfr_err_set(err, BFR_EINVAL,
                           "pipeline: 'ack: disk' needs a queue that survives a crash; add 'plugin: disk'");
    uint32_t status = check_kinds(setup->queues, setup->queue_count, BFR_KIND_QUEUE, "queue", err);
    if (status == BFR_OK)
        status = check_kinds(setup->sinks, setup->sink_count, BFR_KIND_SINK, "sink", err);
    return status;
}

// --- wiring

static uint32_t no_memory(struct bfr_err *err)
{
    bfr_err_set(err, BFR_ENOMEM, "pipeline: out of memory");
    return BFR_ENOMEM;
}

// Asked once; the host promises never to have more in flight than that.
static uint32_t sink_window(const struct bfr_stage *stage)
{
    const struct bfr_sink_vtable *sink = bfr_stage_sink(stage);
    uint32_t window = BFR_HAS_CALL(sink, max_in_flight) ? sink->max_in_flight(bfr_stage_self(stage)) : 0;
    if (window == 0)
        window = SINK_WINDOW;
    return window < SINK_WINDOW_MAX ? window : SINK_WINDOW_MAX;
}

// What a queue at `index` confirms when it has stored a batch, and 0 when nobody can be waiting for that any more.
static uint32_t queue_level(const struct bfr_pipeline *pipeline, size_t index)
{
    uint32_t level = is_stable(pipeline->ports[index].stage) ? BFR_ACK_DISK : BFR_ACK_MEMORY;
    uint32_t wanted = pipeline->ack;
    return pipeline->entry_level < wanted && wanted <= level ? level : 0;
}

// Does a sender wait while a batch is on its way into the queue at `index`?
static bool queue_awaited(const struct bfr_pipeline *pipeline, size_t index)
{
    return index == 0 || pipeline->ack == BFR_ACK_SINK || queue_level(pipeline, index) != 0;
}

// Fill the ports. The intake reserves in the queues up to the first stable one: only these are certain to have been
// reserved for whatever they are given, because what lies behind a stable queue may have been recovered by it.
static void ports_fill(struct bfr_pipeline *pipeline, const struct bfr_pipeline_setup *setup)
{
    bool behind_stable = false;
    for (size_t i = 0; i < bfr_port_count(pipeline); i++) {
        struct bfr_port *port = &pipeline->ports[i];
        port->pipeline = pipeline;
        pthread_mutex_init(&port->inlet_lock, NULL);
        port->inlet_last = &port->inlet_first;
        port->stage = i < setup->queue_count ? setup->queues[i] : setup->sinks[i - setup->queue_count];
        if (i >= setup->queue_count) {
            bfr_sink_figures_init(&port->figures, pipeline->metrics, setup->traffic, bfr_stage_name(port->stage));
            port->window = sink_window(port->stage);
            continue;
        }
        const struct bfr_queue_vtable *queue = bfr_stage_queue(port->stage);
        port->rationed = !behind_stable && BFR_HAS_CALL(queue, reserve) && BFR_HAS_CALL(queue, release);
        port->is_volatile = !is_stable(port->stage);
        behind_stable |= is_stable(port->stage);
    }
}

static uint32_t pump_make(struct bfr_runner *runner, struct bfr_stage *target, struct bfr_err *err)
{
    if (!runner->pipeline->pumps)
        return BFR_OK;
    runner->pump = bfr_pump_new(bfr_stage_name(target), runner->pipeline->clock, pump_turn, runner);
    return runner->pump != NULL ? BFR_OK : no_memory(err);
}

static uint32_t inlet_make(struct bfr_pipeline *pipeline, struct bfr_port *port, struct bfr_err *err)
{
    struct bfr_runner *runner = &pipeline->runners[pipeline->runner_count++];
    *runner = (struct bfr_runner){.pipeline = pipeline, .inlet = port};
    port->runner = runner;
    return pump_make(runner, port->stage, err);
}

static uint32_t entries_make(struct bfr_pipeline *pipeline, struct bfr_err *err)
{
    bool direct = pipeline->queue_count == 0;
    size_t count = direct ? pipeline->sink_count : 1;
    for (size_t i = 0; i < count; i++) {
        struct bfr_port *port = &pipeline->ports[i];
        port->entry = bfr_deliveries_new(port->stage, &pipeline->tokens, direct ? port->window : FIRST_QUEUE_LIMIT,
                                         direct ? bfr_direct_on_sink_done : bfr_intake_on_queue_done, port);
        port->deliveries = port->entry;
        if (port->entry == NULL)
            return no_memory(err);
        if (direct && inlet_make(pipeline, port, err) != BFR_OK)
            return BFR_ENOMEM;
        bfr_deliveries_await(port->entry);
    }
    return BFR_OK;
}

static uint32_t link_make(struct bfr_pipeline *pipeline, const struct bfr_settings *settings, size_t from, size_t to,
                          uint32_t consumer, struct bfr_err *err)
{
    struct bfr_runner *runner = &pipeline->runners[pipeline->runner_count];
    struct bfr_port *source = &pipeline->ports[from], *target = &pipeline->ports[to];
    bool to_sink = to >= pipeline->queue_count;
    const struct bfr_queue_vtable *queue = bfr_stage_queue(target->stage);
    const struct bfr_link_setup setup = {
        .clock = pipeline->clock,
        .settings = settings,
        .source = source->stage,
        .consumer = consumer,
        .target = target->stage,
        .window = to_sink ? target->window : QUEUE_WINDOW,
        .level = to_sink ? (pipeline->ack == BFR_ACK_SINK ? BFR_ACK_SINK : 0) : queue_level(pipeline, to),
        .rationed = !to_sink && !target->rationed && BFR_HAS_CALL(queue, reserve) && BFR_HAS_CALL(queue, release),
        .ledger = pipeline->ledger,
        .flows = pipeline->flows,
        .dedup = pipeline->dedup,
        .figures = &pipeline->figures,
        .sink_figures = to_sink ? &target->figures : NULL,
        .tokens = &pipeline->tokens,
        .wake = wake_runner,
        .wake_arg = runner,
        .recovered = to_sink ? bfr_recovery_wake : NULL,
    };
    runner->pipeline = pipeline;
    runner->link = bfr_link_new(&setup);
    if (runner->link == NULL)
        return no_memory(err);
    if (source->reader_count++ == 0)
        source->reader_first = pipeline->runner_count;
    target->feeder = runner->link;
    target->deliveries = bfr_link_deliveries(runner->link);
    if (!to_sink && queue_awaited(pipeline, to))
        bfr_deliveries_await(target->deliveries);
    pipeline->runner_count++;
    return pump_make(runner, target->stage, err);
}

// Queue i feeds queue i + 1; the last queue feeds every sink.
static uint32_t links_make(struct bfr_pipeline *pipeline, const struct bfr_settings *settings, struct bfr_err *err)
{
    uint32_t status = BFR_OK;
    for (size_t i = 0; status == BFR_OK && i + 1 < pipeline->queue_count; i++)
        status = link_make(pipeline, settings, i, i + 1, 0, err);
    for (size_t i = 0; status == BFR_OK && pipeline->queue_count > 0 && i < pipeline->sink_count; i++)
        status = link_make(pipeline, settings, pipeline->queue_count - 1, pipeline->queue_count + i, (uint32_t)i, err);
    return status;
}

// Without a queue there are no letters.
static uint32_t recovery_make(struct bfr_pipeline *pipeline, struct bfr_err *err)
{
    if (!pipeline->pumps || pipeline->queue_count == 0)
        return BFR_OK;
    pipeline->recovery = bfr_pump_new("recovery", pipeline->clock, bfr_recovery_turn, pipeline);
    return pipeline->recovery != NULL ? BFR_OK : no_memory(err);
}

// By name, because a stable queue records by name who has still to get what.
static uint32_t consumers_tell(struct bfr_pipeline *pipeline, struct bfr_err *err)
{
    const char **names = calloc(pipeline->sink_count + 1, sizeof *names); // one queue, or all sinks
    if (names == NULL)
        return no_memory(err);
    uint32_t status = BFR_OK;
    for (size_t i = 0; status == BFR_OK && i < pipeline->queue_count; i++) {
        struct bfr_port *port = &pipeline->ports[i];
        for (size_t j = 0; j < port->reader_count; j++)
            names[j] = bfr_stage_name(bfr_link_target(pipeline->runners[port->reader_first + j].link));
        const struct bfr_queue_vtable *queue = bfr_stage_queue(port->stage);
        status = queue->consumers(bfr_stage_self(port->stage), names, (uint32_t)port->reader_count, err);
        if (status != BFR_OK)
            bfr_err_prefix(err, "%s", bfr_stage_name(port->stage));
    }
    free(names);
    return status;
}

static void stages_hook(struct bfr_pipeline *pipeline)
{
    for (size_t i = 0; i < bfr_port_count(pipeline); i++) {
        struct bfr_port *port = &pipeline->ports[i];
        const struct bfr_stage_hooks hooks = {
            .on_complete = on_complete,
            .on_ready = on_ready,
            .on_account = i < pipeline->queue_count ? bfr_pipeline_on_account : NULL,
            .on_remember = i < pipeline->queue_count ? bfr_pipeline_on_remember : NULL,
            .arg = port,
        };
        bfr_stage_hook(port->stage, &hooks);
    }
}

static bool books_make(struct bfr_pipeline *pipeline, const struct bfr_settings *settings)
{
    bfr_pipe_figures_init(&pipeline->figures, pipeline->metrics);
    pipeline->ledger = bfr_ledger_new();
    pipeline->dedup = bfr_dedup_new(&(struct bfr_dedup_setup){
        .clock = pipeline->clock,
        .level = pipeline->ack,
        .window_ms = settings->dedup.window_ms,
        .max_entries = settings->dedup.max_entries,
        .duplicates = pipeline->figures.duplicates,
    });
    return pipeline->ledger != NULL && pipeline->dedup != NULL;
}

uint32_t bfr_pipeline_new(const struct bfr_pipeline_setup *setup, struct bfr_pipeline **out, struct bfr_err *err)
{
    uint32_t status = check_shape(setup, err);
    if (status != BFR_OK)
        return status;
    struct bfr_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return no_memory(err);
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_rwlock_init(&pipeline->visitors, NULL);
    bfr_cond_init(&pipeline->changed);
    pipeline->ack = setup->settings->ack;
    atomic_init(&pipeline->tenant_labels, setup->settings->metrics.tenant_labels);
    pipeline->clock = setup->clock;
    pipeline->metrics = setup->metrics;
    pipeline->flows = setup->flows;
    pipeline->tap = setup->tap;
    pipeline->queue_count = setup->queue_count;
    pipeline->sink_count = setup->sink_count;
    pipeline->pumps = setup->pumps;
    pipeline->ports = calloc(bfr_port_count(pipeline), sizeof *pipeline->ports);
    pipeline->runners = calloc(bfr_port_count(pipeline), sizeof *pipeline->runners);

    if (pipeline->ports == NULL || pipeline->runners == NULL || !books_make(pipeline, setup->settings))
        status = no_memory(err);
    if (status == BFR_OK) {
        ports_fill(pipeline, setup);
        if (pipeline->queue_count > 0)
            pipeline->entry_level = is_stable(setup->queues[0]) ? BFR_ACK_DISK : BFR_ACK_MEMORY;
        status = entries_make(pipeline, err);
    }
    if (status == BFR_OK)
        status = links_make(pipeline, setup->settings, err);
    if (status == BFR_OK)
        status = recovery_make(pipeline, err);
    if (status == BFR_OK)
        status = consumers_tell(pipeline, err);
    if (status != BFR_OK) {
        bfr_pipeline_free(pipeline);
        return status;
    }
    stages_hook(pipeline);
    bfr_metrics_collect(pipeline->metrics, bfr_pipe_figures_collect, pipeline);
    *out = pipeline;
    return BFR_OK;
}

void bfr_pipeline_free(struct bfr_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    for (size_t i = 0; pipeline->runners != NULL && i < pipeline->runner_count; i++) {
        bfr_pump_free(pipeline->runners[i].pump);
        bfr_link_free(pipeline->runners[i].link);
    }
    bfr_pump_free(pipeline->recovery);
    for (size_t i = 0; pipeline->ports != NULL && i < bfr_port_count(pipeline); i++)
        bfr_deliveries_free(pipeline->ports[i].entry);
    bfr_dedup_free(pipeline->dedup);
    bfr_ledger_free(pipeline->ledger);
    free(pipeline->runners);
    free(pipeline->ports);
    pthread_cond_destroy(&pipeline->changed);
    pthread_rwlock_destroy(&pipeline->visitors);
    pthread_mutex_destroy(&pipeline->lock);
    free(pipeline);
}

void bfr_pipeline_retune(struct bfr_pipeline *pipeline, const struct bfr_settings *settings)
{
    atomic_store(&pipeline->tenant_labels, settings->metrics.tenant_labels);
    bfr_dedup_limit(pipeline->dedup, settings->dedup.window_ms, settings->dedup.max_entries);
    for (size_t i = 0; i < bfr_port_count(pipeline); i++)
        atomic_store(&pipeline->ports[i].fatal, false);
    for (size_t i = 0; i < pipeline->runner_count; i++) {
        if (pipeline->runners[i].link != NULL)
            bfr_link_retune(pipeline->runners[i].link, settings);
    }
}

// In the order of the data's way, so that one step can carry a batch through all of it.
uint64_t bfr_pipeline_step(struct bfr_pipeline *pipeline)
{
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < pipeline->runner_count; i++) {
        uint64_t next = runner_turn(&pipeline->runners[i]);
        due = next < due ? next : due;
    }
    if (!pipeline->pumps)
        (void)bfr_recovery_turn(pipeline);
    return due;
}
