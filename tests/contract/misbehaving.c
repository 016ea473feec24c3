// SPDX-License-Identifier: Apache-2.0
// A sink that breaks one promise, chosen by FAULT_*, and keeps the others. Built once per fault, so that each check of
// bfr-check-plugin is seen to fail.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

struct me {
    const struct bfr_host *host;
    pthread_t thread;
    int pipe[2]; // closing the writing end lets the thread go
    int stray;
    uint64_t last; // a token it was given
};

#ifdef FAULT_SELF
static struct me only_one;
#endif

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct me *me = calloc(1, sizeof *me);
    void *volatile more = malloc(16); // volatile, or an optimiser leaves the pair out
    if (me == NULL || more == NULL) {
        free(me);
#ifndef FAULT_CREATE_LEAKS
        free(more);
#endif
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    free(more);
    me->host = host;
    me->stray = -1;
#ifdef FAULT_CREATE_OPENS
    me->stray = open("/dev/null", O_RDONLY | O_CLOEXEC);
#endif
#ifdef FAULT_GETTER
    host->config_integer(host, "undeclared");
#endif
    *out_self = me;
#ifdef FAULT_SELF
    free(me);
    only_one.host = host;
    *out_self = &only_one;
#endif
    return BFR_OK;
}

static void *idle(void *arg)
{
    const struct me *me = arg;
    char byte;
    (void)!read(me->pipe[0], &byte, 1);
    return NULL;
}

#ifdef FAULT_LOAD
static void *rest(void *arg)
{
    pause();
    return arg;
}

__attribute__((constructor)) static void wake_up(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, rest, NULL);
}
#endif

static uint32_t start(void *self, struct bfr_err *err)
{
    struct me *me = self;
    if (pipe2(me->pipe, O_CLOEXEC) != 0)
        return bfr_err_set(err, BFR_EFAIL, "no pipe");
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
#ifndef FAULT_SIGNALS
    pthread_sigmask(SIG_SETMASK, &all, NULL);
#endif
    pthread_create(&me->thread, NULL, idle, me);
#ifndef FAULT_NO_NAME
    pthread_setname_np(me->thread, "misbehaving");
#endif
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return BFR_OK;
}

static void drain(void *self, uint64_t deadline_ns)
{
    const struct me *me = self;
    (void)deadline_ns;
#ifdef FAULT_DRAIN
    while (me->host->monotonic_ns(me->host) < deadline_ns)
        usleep(1000);
#endif
    (void)me;
}

static void stop(void *self)
{
    struct me *me = self;
#ifdef FAULT_THREAD_STAYS
    pthread_detach(me->thread);
#else
    close(me->pipe[1]);
    pthread_join(me->thread, NULL);
    close(me->pipe[0]);
#endif
}

static void destroy(void *self)
{
    struct me *me = self;
    if (me->stray >= 0)
        close(me->stray);
#ifdef FAULT_LATE
    const struct bfr_delivery late = {.token = me->last};
    bfr_complete_stored(me->host, &late);
#endif
#ifndef FAULT_SELF
    free(me);
#endif
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct me *me = self;
#ifdef FAULT_BUSY
    if (count > 1)
        return 0;
#endif
#ifdef FAULT_CRASH
    raise(SIGSEGV);
#endif
    for (size_t i = 0; i < count; i++) {
        me->last = deliveries[i]->token;
#if defined(FAULT_NEVER)
        continue;
#elif defined(FAULT_REASON)
        bfr_complete_reject(me->host, deliveries[i], 0, "no reason at all");
#elif defined(FAULT_SILENT)
        bfr_complete_retry(me->host, deliveries[i], 0, NULL);
#elif defined(FAULT_TWICE)
        const struct bfr_delivery again = {.token = me->last};
        bfr_complete_stored(me->host, deliveries[i]);
        bfr_complete_stored(me->host, &again);
#else
        bfr_complete_stored(me->host, deliveries[i]);
#endif
    }
#ifdef FAULT_COUNT
    return count - 1;
#else
    return count;
#endif
}

static const struct bfr_option options[] = {
#ifdef FAULT_OPTION
    {.name = "size", .type = BFR_OPTION_SIZE, .fallback = "10 parsecs", .help = "of what"},
#else
    {.name = "size", .type = BFR_OPTION_SIZE, .fallback = "10KiB", .help = "of what"},
#endif
};

static const struct bfr_life life = {
    .size = sizeof life, .create = create, .start = start, .drain = drain, .stop = stop, .destroy = destroy};

static const struct bfr_sink_vtable sink = {sizeof sink, put, NULL};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,   .kind = BFR_KIND_SINK,           .name = PLUGIN_NAME,
    .version = "1",    .summary = "breaks one promise", .options = options,
    .option_count = 1, .option_size = sizeof *options,  .life = &life,
    .vtable = &sink,
};

#ifdef FAULT_EXPORTS
BFR_EXPORT void another_symbol(void);
void another_symbol(void)
{
}
#endif

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
