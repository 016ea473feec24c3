// SPDX-License-Identifier: Apache-2.0
// See fetch.h. Answers come on the client's thread, which only copies them; they are read by the one who waits.
#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#define FAILURES_MAX 8 // in a row

void bfr_fetcher_init(struct fetcher *fetcher, struct control *control)
{
    pthread_condattr_t attributes;

    memset(fetcher, 0, sizeof *fetcher);
    fetcher->control = control;
    pthread_mutex_init(&fetcher->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fetcher->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void bfr_fetcher_fini(struct fetcher *fetcher)
{
    pthread_cond_destroy(&fetcher->changed);
    pthread_mutex_destroy(&fetcher->lock);
}

void bfr_fetcher_stop(struct fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    fetcher->stopping = true;
    pthread_cond_broadcast(&fetcher->changed);
    pthread_mutex_unlock(&fetcher->lock);
}

bool bfr_fetcher_stopping(struct fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    bool stopping = fetcher->stopping;
    pthread_mutex_unlock(&fetcher->lock);
    return stopping;
}

bool bfr_fetcher_sleep(struct fetcher *fetcher, uint64_t wait_ns)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ns / 1000000000);
    until.tv_nsec += (long)(wait_ns % 1000000000);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&fetcher->lock);
    while (!fetcher->stopping && error == 0)
        error = pthread_cond_timedwait(&fetcher->changed, &fetcher->lock, &until);
    bool stopping = fetcher->stopping;
    pthread_mutex_unlock(&fetcher->lock);
    return !stopping;
}

static void finish(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;

    pthread_mutex_lock(&fetcher->lock);
    fetch->next = fetcher->finished;
    fetcher->finished = fetch;
    pthread_cond_broadcast(&fetcher->changed);
    pthread_mutex_unlock(&fetcher->lock);
}

static void fail(struct fetch *fetch, const char *text)
{
    fetch->answer = CONTROL_FAILED;
    snprintf(fetch->text, sizeof fetch->text, "%s", text);
}

// [client's thread]
static void on_done(void *arg, const struct bfr_http_reply *reply)
{
    struct fetch *fetch = arg;

    fetch->answer = bfr_control_answer(reply);
    bfr_control_answer_text(reply, fetch->text, sizeof fetch->text);
    if (fetch->answer == CONTROL_OK) {
        fetch->body = malloc(reply->body_bytes + 1);
        fetch->body_bytes = reply->body_bytes;
        if (fetch->body == NULL)
            fail(fetch, "out of memory");
        else if (reply->body_bytes > 0)
            memcpy(fetch->body, reply->body, reply->body_bytes);
    }
    finish(fetch);
}

static void begin(struct fetch *fetch)
{
    const struct control *control = fetch->fetcher->control;

    fetch->asked_ns = control->host->monotonic_ns(control->host);
    if (bfr_control_get(control, fetch->path, control->authorization, control->timeout_ms, on_done, fetch) != BFR_OK) {
        fail(fetch, "the request cannot be made; check control_url");
        finish(fetch);
    }
}

static struct fetch *await_one(struct fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    while (fetcher->finished == NULL)
        pthread_cond_wait(&fetcher->changed, &fetcher->lock);
    struct fetch *fetch = fetcher->finished;
    fetcher->finished = fetch->next;
    pthread_mutex_unlock(&fetcher->lock);
    return fetch;
}

// The body may hold tokens.
static void clear(struct fetch *fetch)
{
    if (fetch->body != NULL)
        OPENSSL_cleanse(fetch->body, fetch->body_bytes);
    free(fetch->body);
    memset(fetch, 0, sizeof *fetch);
}

// The state of a sweep: which slots are free, what comes next, whether it is any use to go on.
struct progress {
    struct fetch *free[FETCH_WINDOW];
    unsigned free_count;
    uint32_t next;
    unsigned failures; // in a row
    bool given_up;
};

static void hand_over(const struct fetch_sweep *sweep, struct progress *progress, struct fetch *fetch)
{
    if (fetch->answer == CONTROL_OK || fetch->answer == CONTROL_GONE)
        progress->failures = 0;
    else
        progress->failures++;
    progress->given_up |= fetch->answer == CONTROL_BUSY || progress->failures >= FAILURES_MAX;
    sweep->take(sweep->arg, fetch);
    clear(fetch);
    progress->free[progress->free_count++] = fetch;
}

// Begin what the window allows. Without use of asking, the rest is handed over as failed.
static void begin_more(struct fetcher *fetcher, const struct fetch_sweep *sweep, struct progress *progress)
{
    while (progress->free_count > 0 && progress->next < sweep->count) {
        struct fetch *fetch = progress->free[progress->free_count - 1];
        uint32_t number = progress->next++;
        if (!sweep->path(sweep->arg, number, fetch->path))
            continue;
        fetch->fetcher = fetcher;
        fetch->number = number;
        progress->free_count--;
        if (progress->given_up || bfr_fetcher_stopping(fetcher)) {
            fail(fetch, "not asked, after failures in a row");
            hand_over(sweep, progress, fetch);
        } else {
            begin(fetch);
        }
    }
}

void bfr_fetcher_sweep(struct fetcher *fetcher, const struct fetch_sweep *sweep)
{
    struct progress progress = {.free_count = FETCH_WINDOW};

    for (unsigned i = 0; i < FETCH_WINDOW; i++)
        progress.free[i] = &fetcher->slots[i];
    for (;;) {
        begin_more(fetcher, sweep, &progress);
        if (progress.free_count == FETCH_WINDOW)
            break;
        hand_over(sweep, &progress, await_one(fetcher));
    }
}
