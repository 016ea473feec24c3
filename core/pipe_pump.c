// SPDX-License-Identifier: Apache-2.0
// A pump's thread. No lock: one word says whether it works, has news, or sleeps, and a semaphore wakes it. A wake-up costs a
// system call only when the pump sleeps, so a burst of completions wakes it once. (A condition variable costs two calls
// more for each sleep: glibc takes its mutex back as if it were contended.)
#include "pipe_pump.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "pipe_wait.h"
#include "thread.h"

#define HELD_MAX 16

enum pump_state {
    PUMP_WORKS = 1, // looks at the word again before it sleeps
    PUMP_WOKEN,     // has something to do
    PUMP_SLEEPS
};

struct bfr_pump {
    atomic_int state;
    atomic_bool stopping;
    sem_t alarm;
    pthread_t thread;
    const struct bfr_clock *clock;
    uint64_t (*turn)(void *arg);
    void *arg;
    char name[16];
    bool running;
};

// What this thread keeps back between hold and let_go: each has news already and only has to be roused.
static _Thread_local struct {
    bool holding;
    unsigned count;
    struct bfr_pump *pumps[HELD_MAX];
} held;

struct bfr_pump *bfr_pump_new(const char *name, const struct bfr_clock *clock, uint64_t (*turn)(void *arg), void *arg)
{
    struct bfr_pump *pump = calloc(1, sizeof *pump);
    if (pump == NULL)
        return NULL;
    sem_init(&pump->alarm, 0, 0);
    atomic_init(&pump->state, PUMP_WOKEN);
    atomic_init(&pump->stopping, false);
    pump->clock = clock;
    pump->turn = turn;
    pump->arg = arg;
    strncpy(pump->name, name, sizeof pump->name - 1);
    return pump;
}

// Returns early for any reason: the caller looks again. An alarm that comes after the time was up rouses the next sleep.
static void pump_sleep(struct bfr_pump *pump, uint64_t due)
{
    int works = PUMP_WORKS;
    if (!atomic_compare_exchange_strong(&pump->state, &works, PUMP_SLEEPS))
        return;
    bfr_sem_wait_until(&pump->alarm, pump->clock, due);
    int sleeps = PUMP_SLEEPS;
    atomic_compare_exchange_strong(&pump->state, &sleeps, PUMP_WORKS);
}

static void *pump_run(void *arg)
{
    struct bfr_pump *pump = arg;
    uint64_t due = UINT64_MAX;
    while (!atomic_load(&pump->stopping)) {
        if (atomic_load(&pump->state) != PUMP_WOKEN && bfr_clock_now(pump->clock) < due) {
            pump_sleep(pump, due);
            continue;
        }
        // An exchange, not a store: what was written before the wake-up must be seen in the turn.
        atomic_exchange(&pump->state, PUMP_WORKS);
        due = pump->turn(pump->arg);
    }
    return NULL;
}

uint32_t bfr_pump_start(struct bfr_pump *pump, struct bfr_err *err)
{
    int failed = bfr_thread_start(&pump->thread, pump->name, pump_run, pump);
    if (failed != 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot start the pump thread '%s': %s; raise the limit on processes",
                           pump->name, strerror(failed));
    pump->running = true;
    return BFR_OK;
}

void bfr_pump_wake(struct bfr_pump *pump)
{
    if (atomic_exchange(&pump->state, PUMP_WOKEN) != PUMP_SLEEPS)
        return; // it will look, or another wake-up rouses it
    if (held.holding && held.count < HELD_MAX)
        held.pumps[held.count++] = pump;
    else
        sem_post(&pump->alarm);
}

void bfr_pump_hold(void)
{
    held.holding = true;
}

void bfr_pump_let_go(void)
{
    for (unsigned i = 0; i < held.count; i++)
        sem_post(&held.pumps[i]->alarm);
    held.count = 0;
    held.holding = false;
}

void bfr_pump_stop(struct bfr_pump *pump)
{
    if (!pump->running)
        return;
    atomic_store(&pump->stopping, true);
    sem_post(&pump->alarm); // whoever has woken it may be holding the alarm back
    pthread_join(pump->thread, NULL);
    pump->running = false;
}

void bfr_pump_free(struct bfr_pump *pump)
{
    if (pump == NULL)
        return;
    sem_destroy(&pump->alarm);
    free(pump);
}
