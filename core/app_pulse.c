// SPDX-License-Identifier: Apache-2.0
// One thread that wakes twice as often as the supervisor's watchdog barks. It only asks the loops for a sign and looks whether
// the last one came: a loop that hangs cannot hang it.
#include "app_pulse.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pipe_wait.h"
#include "thread.h"

#define STATUS_NS (2 * BFR_NS_PER_S) // how late a status may be
#define EXTEND_NS (10 * BFR_NS_PER_S)

struct bfr_pulse {
    struct bfr_pulse_setup set;
    uint64_t interval_ns;
    pthread_mutex_t lock; // of the next two, and held while the loops are looked at
    pthread_cond_t changed;
    bool stopping;
    bool quit;
    pthread_t thread;
};

struct summary {
    uint64_t held;
    char trouble[400];
};

static bool take_total(void *arg, const struct bfr_ledger_row *row)
{
    ((struct summary *)arg)->held = row->held_batches;
    return false;
}

static bool take_trouble(void *arg, const struct bfr_stage_status *stage)
{
    struct summary *summary = arg;
    if (stage->state == BFR_HEALTH_OK)
        return true;
    snprintf(summary->trouble, sizeof summary->trouble, "%s: %s", stage->stage, stage->reason);
    return false;
}

static void tell_status(struct bfr_pulse *pulse)
{
    struct summary summary = {.held = 0};
    char text[500];
    (void)bfr_in_force_enter(pulse->set.in_force);
    uint64_t generation = bfr_in_force_report(pulse->set.in_force)->generation;
    bool ok = bfr_in_force_report(pulse->set.in_force)->ok;
    bfr_in_force_leave(pulse->set.in_force);
    bfr_pipeline_ledger(pulse->set.pipeline, take_total, &summary);
    pulse->set.stages(pulse->set.stages_arg, take_trouble, &summary);
    snprintf(text, sizeof text, "configuration %" PRIu64 "%s, %" PRIu64 " batches held%s%s", generation,
             ok ? "" : " (the last reload failed)", summary.held,
             summary.trouble[0] == '\0' ? "" : "; degraded: ", summary.trouble);
    bfr_notify_status(pulse->set.notify, text);
}

// Both are asked, whatever the first says.
static bool loops_turn(struct bfr_pulse *pulse)
{
    bool webhook = bfr_http_server_turns(pulse->set.http);
    bool api = bfr_http_admin_turns(pulse->set.admin);
    return webhook && api;
}

// With the lock held.
static void beat(struct bfr_pulse *pulse)
{
    if (pulse->stopping) {
        bfr_notify_extend(pulse->set.notify, EXTEND_NS);
        bfr_notify_alive(pulse->set.notify);
        return;
    }
    if (bfr_notify_watchdog_ns(pulse->set.notify) > 0) {
        if (loops_turn(pulse))
            bfr_notify_alive(pulse->set.notify);
        else
            bfr_say(BFR_LOG_WARN, "main",
                    "a loop has not turned since the last beat; the supervisor is not told that "
                    "all is well",
                    NULL);
    }
    tell_status(pulse);
}

static void *run(void *arg)
{
    struct bfr_pulse *pulse = arg;
    pthread_mutex_lock(&pulse->lock);
    while (!pulse->quit) {
        beat(pulse);
        const bool stopping = pulse->stopping;
        uint64_t due_ns = bfr_clock_now(&bfr_clock_system) + pulse->interval_ns;
        while (!pulse->quit && pulse->stopping == stopping && bfr_clock_now(&bfr_clock_system) < due_ns)
            bfr_cond_wait_until(&pulse->changed, &pulse->lock, &bfr_clock_system, due_ns);
    }
    pthread_mutex_unlock(&pulse->lock);
    return NULL;
}

uint32_t bfr_pulse_start(const struct bfr_pulse_setup *setup, struct bfr_pulse **out, struct bfr_err *err)
{
    *out = NULL;
    if (setup->notify == NULL)
        return BFR_OK;
    struct bfr_pulse *pulse = calloc(1, sizeof *pulse);
    if (pulse == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    pulse->set = *setup;
    uint64_t half_ns = bfr_notify_watchdog_ns(setup->notify) / 2;
    pulse->interval_ns = half_ns > 0 && half_ns < STATUS_NS ? half_ns : STATUS_NS;
    pthread_mutex_init(&pulse->lock, NULL);
    bfr_cond_init(&pulse->changed);
    int failed = bfr_thread_start(&pulse->thread, "pulse", run, pulse);
    if (failed != 0) {
        pthread_cond_destroy(&pulse->changed);
        pthread_mutex_destroy(&pulse->lock);
        free(pulse);
        return bfr_err_set(err, BFR_EFAIL, "cannot start a thread: %s", strerror(failed));
    }
    *out = pulse;
    return BFR_OK;
}

static void change(struct bfr_pulse *pulse, bool *what)
{
    pthread_mutex_lock(&pulse->lock);
    *what = true;
    pthread_cond_signal(&pulse->changed);
    pthread_mutex_unlock(&pulse->lock);
}

void bfr_pulse_stopping(struct bfr_pulse *pulse)
{
    if (pulse != NULL)
        change(pulse, &pulse->stopping);
}

void bfr_pulse_free(struct bfr_pulse *pulse)
{
    if (pulse == NULL)
        return;
    change(pulse, &pulse->quit);
    pthread_join(pulse->thread, NULL);
    pthread_cond_destroy(&pulse->changed);
    pthread_mutex_destroy(&pulse->lock);
    free(pulse);
}
