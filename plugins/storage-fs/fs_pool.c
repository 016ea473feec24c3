// SPDX-License-Identifier: Apache-2.0
// See fs_pool.h. Owns the threads and the ring of waiting deliveries. The mutex is never held while a group is stored or
// the host is called.
#include "fs_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

struct fs_pool {
    const struct bfr_host *host;
    fs_run_fn run;
    void *arg;
    uint32_t workers;
    uint32_t window;
    pthread_t *threads;
    uint32_t thread_count; // started; main thread only

    pthread_mutex_t mutex; // guards the rest
    pthread_cond_t work;   // something waits, or stopping
    pthread_cond_t idle;   // nothing waits and nothing runs
    const struct bfr_delivery **ring;
    uint32_t first;
    uint32_t waiting;
    uint32_t running;
    bool refused; // a put found no room since room last came
    bool stopping;
};

struct fs_pool *bfr_fs_pool_new(const struct bfr_host *host, uint32_t workers, fs_run_fn run, void *arg)
{
    pthread_condattr_t clock;
    struct fs_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return NULL;
    *pool =
        (struct fs_pool){.host = host, .run = run, .arg = arg, .workers = workers, .window = workers * FS_GROUP_MAX};
    pool->threads = calloc(workers, sizeof *pool->threads);
    pool->ring = calloc(pool->window, sizeof(const struct bfr_delivery *));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->idle, &clock);
    pthread_condattr_destroy(&clock);
    if (pool->threads == NULL || pool->ring == NULL) {
        bfr_fs_pool_free(pool);
        return NULL;
    }
    return pool;
}

void bfr_fs_pool_free(struct fs_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->ring);
    free(pool->threads);
    free(pool);
}

uint32_t bfr_fs_pool_window(const struct fs_pool *pool)
{
    return pool->window;
}

static const struct bfr_delivery *pop(struct fs_pool *pool)
{
    const struct bfr_delivery *delivery = pool->ring[pool->first];
    pool->first = (pool->first + 1) % pool->window;
    pool->waiting--;
    return delivery;
}

// An equal share of what waits: all workers sync at the same time, each for as few syncs as that allows.
static size_t take_group(struct fs_pool *pool, const struct bfr_delivery **out)
{
    size_t share = (pool->waiting + pool->workers - 1) / pool->workers;
    size_t count = share < FS_GROUP_MAX ? share : FS_GROUP_MAX;

    for (size_t i = 0; i < count; i++)
        out[i] = pop(pool);
    pool->running += (uint32_t)count;
    return count;
}

// The mutex is held; the caller calls host->ready after it.
static bool room_is_wanted(struct fs_pool *pool)
{
    bool wanted = pool->refused;
    pool->refused = false;
    return wanted;
}

// A worker's life. At stop what is in a group is finished; what waits in the ring is left to bfr_fs_pool_stop.
static void *work(void *self)
{
    struct fs_pool *pool = self;
    const struct bfr_delivery *group[FS_GROUP_MAX];

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->waiting == 0 && !pool->stopping)
            pthread_cond_wait(&pool->work, &pool->mutex);
        if (pool->stopping)
            break;
        size_t count = take_group(pool, group);
        bool wake = room_is_wanted(pool);
        pthread_mutex_unlock(&pool->mutex);
        if (wake)
            pool->host->ready(pool->host);
        pool->run(pool->arg, group, count);
        pthread_mutex_lock(&pool->mutex);
        pool->running -= (uint32_t)count;
        if (pool->waiting + pool->running == 0)
            pthread_cond_broadcast(&pool->idle);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static int start_worker(struct fs_pool *pool, uint32_t number)
{
    char name[24];
    int error = pthread_create(&pool->threads[number], NULL, work, pool);

    if (error != 0)
        return error;
    pool->thread_count++;
    snprintf(name, sizeof name, "bfr-fs-%u", number);
    name[15] = '\0'; // as long as the kernel lets it be
    (void)pthread_setname_np(pool->threads[number], name);
    return 0;
}

uint32_t bfr_fs_pool_start(struct fs_pool *pool, struct bfr_err *err)
{
    sigset_t all, before;
    int error = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // threads inherit it: signals are the main thread's
    for (uint32_t i = 0; i < pool->workers && error == 0; i++)
        error = start_worker(pool, i);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return BFR_OK;
    bfr_fs_pool_stop(pool);
    return bfr_err_set(err, BFR_EFAIL, "cannot start worker thread: %s; raise TasksMax= or lower workers",
                       strerror(error));
}

size_t bfr_fs_pool_put(struct fs_pool *pool, const struct bfr_delivery *const *deliveries, size_t count)
{
    pthread_mutex_lock(&pool->mutex);
    uint32_t room = pool->window - pool->waiting;
    size_t taken = count < room ? count : room;
    for (size_t i = 0; i < taken; i++)
        pool->ring[(pool->first + pool->waiting++) % pool->window] = deliveries[i];
    pool->refused |= taken < count;
    pthread_mutex_unlock(&pool->mutex);
    if (taken == 1)
        pthread_cond_signal(&pool->work);
    else if (taken > 1)
        pthread_cond_broadcast(&pool->work);
    return taken;
}

void bfr_fs_pool_drain(struct fs_pool *pool, uint64_t deadline_ns)
{
    uint64_t now_ns = pool->host->monotonic_ns(pool->host);
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec until;

    // The host's clock and CLOCK_MONOTONIC need not have the same zero.
    clock_gettime(CLOCK_MONOTONIC, &until);
    left_ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(left_ns / 1000000000);
    until.tv_nsec = (long)(left_ns % 1000000000);

    pthread_mutex_lock(&pool->mutex);
    while (pool->waiting + pool->running > 0)
        if (pthread_cond_timedwait(&pool->idle, &pool->mutex, &until) != 0)
            break;
    pthread_mutex_unlock(&pool->mutex);
}

void bfr_fs_pool_stop(struct fs_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_mutex_unlock(&pool->mutex);
    pthread_cond_broadcast(&pool->work);
    for (; pool->thread_count > 0; pool->thread_count--)
        pthread_join(pool->threads[pool->thread_count - 1], NULL);
    while (pool->waiting > 0) // no other thread is left
        bfr_complete_retry(pool->host, pop(pool), BFR_OUTAGE, "stopped before the file could be written");
}
