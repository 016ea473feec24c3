// SPDX-License-Identifier: Apache-2.0
// A pump's thread. Holds its lock only to look at its flags, never during a turn. A wake-up costs a signal only when
// the pump sleeps: while it works, the flag is enough, so a burst of completions wakes it once.
#include "pipe_pump.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "pipe_wait.h"

struct bfr_pump {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    const struct bfr_clock *clock;
    uint64_t (*turn)(void *arg);
    void *arg;
    char name[16];
    bool running, asleep, woken, stopping;
};

struct bfr_pump *bfr_pump_new(const char *name, const struct bfr_clock *clock, uint64_t (*turn)(void *arg), void *arg)
{
    struct bfr_pump *pump = calloc(1, sizeof *pump);
    if (pump == NULL)
        return NULL;
    pthread_mutex_init(&pump->lock, NULL);
    bfr_cond_init(&pump->changed);
    pump->clock = clock;
    pump->turn = turn;
    pump->arg = arg;
    strncpy(pump->name, name, sizeof pump->name - 1);
    return pump;
}

static void *pump_run(void *arg)
{
    struct bfr_pump *pump = arg;
    uint64_t due = 0;
    pthread_setname_np(pthread_self(), pump->name);
    pthread_mutex_lock(&pump->lock);
    while (!pump->stopping) {
        if (!pump->woken && bfr_clock_now(pump->clock) < due) {
            pump->asleep = true;
            bfr_cond_wait_until(&pump->changed, &pump->lock, pump->clock, due);
            pump->asleep = false;
            continue;
        }
        pump->woken = false;
        pthread_mutex_unlock(&pump->lock);
        due = pump->turn(pump->arg);
        pthread_mutex_lock(&pump->lock);
    }
    pthread_mutex_unlock(&pump->lock);
    return NULL;
}

uint32_t bfr_pump_start(struct bfr_pump *pump, struct bfr_err *err)
{
    // Signals are the main thread's business.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&pump->thread, NULL, pump_run, pump);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot start the pump thread '%s': %s; raise the limit on processes",
                           pump->name, strerror(failed));
    pump->running = true;
    return BFR_OK;
}

void bfr_pump_wake(struct bfr_pump *pump)
{
    pthread_mutex_lock(&pump->lock);
    pump->woken = true;
    bool signal_it = pump->asleep;
    pump->asleep = false; // one signal is enough
    pthread_mutex_unlock(&pump->lock);
    if (signal_it)
        pthread_cond_signal(&pump->changed);
}

void bfr_pump_stop(struct bfr_pump *pump)
{
    if (!pump->running)
        return;
    pthread_mutex_lock(&pump->lock);
    pump->stopping = true;
    pthread_mutex_unlock(&pump->lock);
    pthread_cond_signal(&pump->changed);
    pthread_join(pump->thread, NULL);
    pump->running = false;
}

void bfr_pump_free(struct bfr_pump *pump)
{
    if (pump == NULL)
        return;
    pthread_cond_destroy(&pump->changed);
    pthread_mutex_destroy(&pump->lock);
    free(pump);
}
