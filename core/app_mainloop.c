// SPDX-License-Identifier: Apache-2.0
// Posts and signals for the main thread. A thread of its own takes the signals with sigtimedwait, so that a second
// SIGTERM and the time limit work while the main thread is busy stopping.
#include "app_mainloop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bfr/text.h>

#include "bug.h"
#include "clock.h"
#include "log.h"

// Within this a repeated signal is the same wish: timeout(1), and a shell in front of us that passes on what the terminal
// sent to both, say it twice in one breath, and to end at once would lose what draining saves.
#define ECHO_NS (250 * BFR_NS_PER_MS)

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct bfr_mainloop {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct post *first, **last; // waiting posts, oldest first
    bool closed;
    bool stop; // a stop signal came
    bool quit; // the signal thread shall end
    uint64_t stopped_at_ns;
    uint64_t limit_ns;
    void (*on_hangup)(void *arg);
    void *hangup_arg;
    bool hung_up;  // before anybody listened
    bool watching; // the signal thread runs
    pthread_t watcher;
};

static void fill_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1); // ours: wakes the watcher so that it can end
}

static _Noreturn void end_now(const char *message)
{
    bfr_say(BFR_LOG_ERROR, "main", message, NULL);
    _exit(1);
}

// True when a stop had begun before, and not only just.
static bool begin_stop(struct bfr_mainloop *loop)
{
    uint64_t now_ns = bfr_clock_now(&bfr_clock_system);
    pthread_mutex_lock(&loop->lock);
    bool second = loop->stop && now_ns >= loop->stopped_at_ns + ECHO_NS;
    if (!loop->stop) {
        loop->stop = true;
        loop->stopped_at_ns = now_ns;
        pthread_cond_broadcast(&loop->changed);
    }
    pthread_mutex_unlock(&loop->lock);
    return second;
}

// One that comes before anybody listens is kept for him; one after the end began changes nothing.
static void post_hangup(struct bfr_mainloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    void (*fn)(void *arg) = loop->on_hangup;
    void *arg = loop->hangup_arg;
    loop->hung_up = fn == NULL;
    pthread_mutex_unlock(&loop->lock);
    if (fn != NULL)
        (void)bfr_mainloop_post(loop, fn, arg);
}

// True when the watcher shall end.
static bool note_signal(struct bfr_mainloop *loop, int signal)
{
    if (signal == SIGUSR1) {
        pthread_mutex_lock(&loop->lock);
        bool quit = loop->quit;
        pthread_mutex_unlock(&loop->lock);
        return quit;
    }
    if (signal == SIGHUP) {
        post_hangup(loop);
        return false;
    }
    if (begin_stop(loop))
        end_now("a second signal to stop: ending at once, what was not saved is lost");
    return false;
}

static void check_limit(struct bfr_mainloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    bool over = loop->stop && bfr_clock_now(&bfr_clock_system) >= loop->stopped_at_ns + loop->limit_ns;
    pthread_mutex_unlock(&loop->lock);
    if (over)
        end_now("stopping took too long, a stage does not return: ending, what was not saved is lost");
}

static void *watch_signals(void *arg)
{
    struct bfr_mainloop *loop = arg;
    sigset_t set;
    fill_signals(&set);
    for (;;) {
        // Half a second is how late the time limit, and a folded line of the log, may be noticed.
        const struct timespec patience = {0, 500L * 1000 * 1000};
        int signal = sigtimedwait(&set, NULL, &patience);
        if (signal > 0 && note_signal(loop, signal))
            return NULL;
        check_limit(loop);
        bfr_log_tick();
    }
}

uint32_t bfr_mainloop_new(struct bfr_mainloop **out, struct bfr_err *err)
{
    struct bfr_mainloop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    loop->last = &loop->first;
    loop->limit_ns = UINT64_MAX / 2;
    pthread_mutex_init(&loop->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    // A limit of file sizes is an error of the write, not the end of the process; the others mean nothing here, and a stray
    // one must not end it either.
    static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    sigset_t set;
    fill_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int failed = pthread_create(&loop->watcher, NULL, watch_signals, loop);
    if (failed != 0) {
        bfr_mainloop_free(loop);
        return bfr_err_set(err, BFR_EFAIL, "cannot start a thread: %s", strerror(failed));
    }
    pthread_setname_np(loop->watcher, "signals");
    loop->watching = true;
    *out = loop;
    return BFR_OK;
}

void bfr_mainloop_free(struct bfr_mainloop *loop)
{
    if (loop == NULL)
        return;
    if (loop->watching) {
        pthread_mutex_lock(&loop->lock);
        loop->quit = true;
        pthread_mutex_unlock(&loop->lock);
        pthread_kill(loop->watcher, SIGUSR1);
        pthread_join(loop->watcher, NULL);
    }
    bfr_must(loop->first == NULL);
    pthread_cond_destroy(&loop->changed);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

bool bfr_mainloop_post(void *arg, void (*fn)(void *arg), void *fn_arg)
{
    struct bfr_mainloop *loop = arg;
    struct post *post = malloc(sizeof *post);
    if (post == NULL)
        return false;
    *post = (struct post){NULL, fn, fn_arg};
    pthread_mutex_lock(&loop->lock);
    bool open = !loop->closed;
    if (open) {
        *loop->last = post;
        loop->last = &post->next;
        pthread_cond_signal(&loop->changed);
    }
    pthread_mutex_unlock(&loop->lock);
    if (!open)
        free(post);
    return open;
}

static struct post *take_posts(struct bfr_mainloop *loop)
{
    struct post *posts = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    return posts;
}

static void run_posts(struct post *post)
{
    while (post != NULL) {
        struct post *next = post->next;
        post->fn(post->arg);
        free(post);
        post = next;
    }
}

// With the lock held: wait until something changed or the deadline. False: the deadline.
static bool wait_change(struct bfr_mainloop *loop, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return pthread_cond_wait(&loop->changed, &loop->lock) == 0;
    struct timespec until = {(time_t)(deadline_ns / BFR_NS_PER_S), (long)(deadline_ns % BFR_NS_PER_S)};
    return pthread_cond_timedwait(&loop->changed, &loop->lock, &until) != ETIMEDOUT;
}

// Run posts until the deadline, or until a stop signal unless `through_stop`.
static bool run_until(struct bfr_mainloop *loop, uint64_t deadline_ns, bool through_stop)
{
    bool in_time = true;
    pthread_mutex_lock(&loop->lock);
    while (in_time && (through_stop || !loop->stop)) {
        struct post *posts = take_posts(loop);
        if (posts != NULL) {
            pthread_mutex_unlock(&loop->lock);
            run_posts(posts);
            pthread_mutex_lock(&loop->lock);
        } else {
            in_time = wait_change(loop, deadline_ns);
        }
    }
    bool stop = loop->stop;
    pthread_mutex_unlock(&loop->lock);
    return stop;
}

bool bfr_mainloop_wait(struct bfr_mainloop *loop, uint64_t deadline_ns)
{
    return run_until(loop, deadline_ns, false);
}

void bfr_mainloop_pause(struct bfr_mainloop *loop, uint64_t until_ns)
{
    (void)run_until(loop, until_ns, true);
}

void bfr_mainloop_on_hangup(struct bfr_mainloop *loop, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&loop->lock);
    loop->on_hangup = fn;
    loop->hangup_arg = arg;
    bool missed = loop->hung_up;
    loop->hung_up = false;
    pthread_mutex_unlock(&loop->lock);
    if (missed)
        (void)bfr_mainloop_post(loop, fn, arg);
}

void bfr_mainloop_limit_stop(struct bfr_mainloop *loop, uint64_t limit_ns)
{
    pthread_mutex_lock(&loop->lock);
    loop->limit_ns = limit_ns;
    pthread_mutex_unlock(&loop->lock);
}

void bfr_mainloop_stop(struct bfr_mainloop *loop)
{
    (void)begin_stop(loop);
}

uint64_t bfr_mainloop_stopped_at(const struct bfr_mainloop *loop)
{
    return loop->stopped_at_ns;
}

void bfr_mainloop_close(struct bfr_mainloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->closed = true;
    struct post *posts = take_posts(loop);
    pthread_mutex_unlock(&loop->lock);
    run_posts(posts);
}
