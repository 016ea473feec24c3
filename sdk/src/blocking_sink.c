// SPDX-License-Identifier: Apache-2.0
// The worker pool behind blocking_sink.h. Owns the threads and the hand-over between the pump that puts and the workers
// that store; owns no batch. Never holds its lock while it calls the host or `store`, never completes a delivery twice,
// never takes more than the hand-over can hold.
#include <bfr/blocking_sink.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

#include "print.h"

enum { MAX_WORKERS = 64, WINDOW_PER_WORKER = 2 };

static const uint64_t ns_per_s = UINT64_C(1000000000);

// A delivery is waiting in the ring, then busy in `store`, then reporting: stored, but host->complete has not returned.
// Reporting ones no longer take room, so that a host that puts again from inside complete is not refused for nothing;
// drain still waits for them.
struct bfr_blocking_sink {
    const struct bfr_host *host;
    bfr_store_fn store;
    void *self;

    pthread_mutex_t lock; // guards everything below down to `ring`
    pthread_cond_t work;  // something waits, or stopping
    pthread_cond_t idle;  // nothing is open any more
    bool stopping;
    bool refused; // a put was cut short since the last host->ready
    uint32_t waiting;
    uint32_t busy;
    uint32_t reporting;
    uint32_t first;  // index of the oldest waiting delivery
    uint32_t window; // slots in the ring; also the most that may be waiting or busy
    const struct bfr_delivery **ring;

    uint32_t workers;
    uint32_t running; // threads started and not joined; [main]
    pthread_t threads[MAX_WORKERS];
};

static bool is_idle(const struct bfr_blocking_sink *pool)
{
    return pool->waiting + pool->busy + pool->reporting == 0;
}

static const struct bfr_delivery *pop(struct bfr_blocking_sink *pool)
{
    const struct bfr_delivery *delivery = pool->ring[pool->first];
    pool->first = (pool->first + 1) % pool->window;
    pool->waiting--;
    return delivery;
}

static bool take_refusal(struct bfr_blocking_sink *pool)
{
    bool refused = pool->refused;
    pool->refused = false;
    return refused;
}

static void report(const struct bfr_host *host, const struct bfr_delivery *delivery, struct bfr_result *result)
{
    result->text[sizeof result->text - 1] = '\0';
    struct bfr_completion completion = {
        .size = sizeof completion,
        .outcome = result->outcome,
        .token = delivery->token,
        .flags = result->flags,
        .reason = result->reason,
        .retry_after_ms = result->retry_after_ms,
        .text = result->outcome == BFR_STORED ? NULL : result->text,
    };
    const struct bfr_completion *const list[] = {&completion};
    host->complete(host, list, 1);
}

// Called and left with the lock held; gives it up for the store and the report. Completing one by one is deliberate:
// a blocking store takes far longer than the call, and nobody should wait for a neighbour's transfer.
static void serve(struct bfr_blocking_sink *pool, const struct bfr_delivery *delivery)
{
    pool->busy++;
    pthread_mutex_unlock(&pool->lock);

    struct bfr_result result;
    result.outcome = BFR_STORED;
    result.flags = 0;
    result.reason = 0;
    result.retry_after_ms = 0;
    result.text[0] = '\0';
    pool->store(pool->self, delivery->batch, &result);

    pthread_mutex_lock(&pool->lock);
    pool->busy--;
    pool->reporting++;
    bool wake = take_refusal(pool);
    pthread_mutex_unlock(&pool->lock);

    report(pool->host, delivery, &result);
    if (wake)
        pool->host->ready(pool->host);

    pthread_mutex_lock(&pool->lock);
    pool->reporting--;
    if (is_idle(pool))
        pthread_cond_broadcast(&pool->idle);
}

static void *work(void *arg)
{
    struct bfr_blocking_sink *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->stopping)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->waiting == 0)
            break;
        serve(pool, pop(pool));
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

// The monotonic clock, so that a drain deadline does not move when someone sets the time.
static void init_locks(struct bfr_blocking_sink *pool)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->idle, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct bfr_blocking_sink *bfr_blocking_sink_new(const struct bfr_host *host, uint32_t workers, bfr_store_fn store,
                                                void *self, struct bfr_err *err)
{
    if (workers < 1 || workers > MAX_WORKERS) {
        bfr_err_set(err, BFR_EINVAL, "%u worker threads asked for; between 1 and %d are possible", workers,
                    MAX_WORKERS);
        return NULL;
    }
    struct bfr_blocking_sink *pool = calloc(1, sizeof *pool);
    const struct bfr_delivery **ring = calloc((size_t)workers * WINDOW_PER_WORKER, sizeof(struct bfr_delivery *));
    if (pool == NULL || ring == NULL) {
        free(pool);
        free(ring);
        bfr_err_set(err, BFR_ENOMEM, "out of memory for a pool of %u worker threads", workers);
        return NULL;
    }
    pool->host = host;
    pool->store = store;
    pool->self = self;
    pool->workers = workers;
    pool->window = workers * WINDOW_PER_WORKER;
    pool->ring = ring;
    init_locks(pool);
    return pool;
}

// The name is set from here, not by the thread itself, so that every worker has it when start returns.
static int start_worker(struct bfr_blocking_sink *pool)
{
    pthread_t *thread = &pool->threads[pool->running];
    int failure = pthread_create(thread, NULL, work, pool);
    if (failure != 0)
        return failure;
    char name[16]; // the kernel's limit
    snprintf(name, sizeof name, "%.12s/%u", pool->host->stage, pool->running % 100);
    pthread_setname_np(*thread, name);
    pool->running++;
    return 0;
}

// A failed start is followed by destroy alone, so what was started is stopped here.
uint32_t bfr_blocking_sink_start(struct bfr_blocking_sink *pool, struct bfr_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // threads inherit it: signals are the daemon's business
    int failure = 0;
    while (failure == 0 && pool->running < pool->workers)
        failure = start_worker(pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0)
        return BFR_OK;

    uint32_t started = pool->running;
    bfr_blocking_sink_stop(pool);
    return bfr_err_set(err, BFR_EFAIL,
                       "cannot start worker thread %u of %u: %s; check the limits on threads and memory", started + 1,
                       pool->workers, strerror(failure));
}

size_t bfr_blocking_sink_put(struct bfr_blocking_sink *pool, const struct bfr_delivery *const *deliveries, size_t count)
{
    pthread_mutex_lock(&pool->lock);
    size_t room = pool->stopping ? 0 : pool->window - pool->waiting - pool->busy;
    size_t taken = count < room ? count : room;
    for (size_t i = 0; i < taken; i++) {
        pool->ring[(pool->first + pool->waiting) % pool->window] = deliveries[i];
        pool->waiting++;
        pthread_cond_signal(&pool->work);
    }
    if (taken < count && !pool->stopping)
        pool->refused = true;
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

// The deadline is on the host's clock, which need not be the machine's: only what is left of it is carried over.
static struct timespec machine_deadline(const struct bfr_host *host, uint64_t deadline_ns)
{
    uint64_t now_ns = host->monotonic_ns(host);
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    uint64_t fraction_ns = (uint64_t)when.tv_nsec + left_ns % ns_per_s;
    when.tv_sec += (time_t)(left_ns / ns_per_s + fraction_ns / ns_per_s);
    when.tv_nsec = (long)(fraction_ns % ns_per_s);
    return when;
}

void bfr_blocking_sink_drain(struct bfr_blocking_sink *pool, uint64_t deadline_ns)
{
    struct timespec deadline = machine_deadline(pool->host, deadline_ns);
    pthread_mutex_lock(&pool->lock);
    pool->refused = false; // nothing is put any more, so nobody waits for room
    int failure = 0;
    while (!is_idle(pool) && failure == 0)
        failure = pthread_cond_timedwait(&pool->idle, &pool->lock, &deadline);
    pthread_mutex_unlock(&pool->lock);
}

// The batches are not to blame, hence OUTAGE: they keep their attempts.
static void give_back(const struct bfr_host *host, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct bfr_completion completions[MAX_WORKERS * WINDOW_PER_WORKER];
    const struct bfr_completion *list[MAX_WORKERS * WINDOW_PER_WORKER];
    for (size_t i = 0; i < count; i++) {
        completions[i] = (struct bfr_completion){
            .size = sizeof(struct bfr_completion),
            .outcome = BFR_RETRY,
            .token = deliveries[i]->token,
            .flags = BFR_OUTAGE,
            .text = "the sink was stopped before it began with this batch",
        };
        list[i] = &completions[i];
    }
    if (count > 0)
        host->complete(host, list, count);
}

void bfr_blocking_sink_stop(struct bfr_blocking_sink *pool)
{
    const struct bfr_delivery *left[MAX_WORKERS * WINDOW_PER_WORKER];
    size_t count = 0;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pool->refused = false;
    while (pool->waiting > 0)
        left[count++] = pop(pool);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);

    give_back(pool->host, left, count);
    while (pool->running > 0)
        pthread_join(pool->threads[--pool->running], NULL);
}

// Stops first: a plugin whose own start failed after the pool's comes here without a stop.
void bfr_blocking_sink_free(struct bfr_blocking_sink *pool)
{
    if (pool == NULL)
        return;
    bfr_blocking_sink_stop(pool);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ring);
    free(pool);
}

uint32_t bfr_blocking_sink_window(const struct bfr_blocking_sink *pool)
{
    return pool->window;
}

BFR_PRINTF(4, 0)
static void set_result(struct bfr_result *out, uint32_t outcome, uint32_t flags, const char *format, va_list arguments)
{
    out->outcome = outcome;
    out->flags = flags;
    out->reason = 0;
    bfr_print(out->text, sizeof out->text, format, arguments);
}

void bfr_result_outage(struct bfr_result *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_result(out, BFR_RETRY, BFR_OUTAGE, format, arguments);
    va_end(arguments);
}

void bfr_result_retry(struct bfr_result *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_result(out, BFR_RETRY, 0, format, arguments);
    va_end(arguments);
}

void bfr_result_reject(struct bfr_result *out, uint32_t reason, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_result(out, BFR_REJECT, 0, format, arguments);
    va_end(arguments);
    out->reason = reason;
}

void bfr_result_fatal(struct bfr_result *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_result(out, BFR_FATAL, 0, format, arguments);
    va_end(arguments);
}
