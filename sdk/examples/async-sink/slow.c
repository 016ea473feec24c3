/* SPDX-License-Identifier: Apache-2.0 */
/* Sink "slow": pretends to store. Each delivery is completed after a latency of its own, so they end in another order
 * than they came; some end in an outage when asked to. For trying out a pipeline, and as a pattern for sinks with
 * their own thread: bounded slots, BUSY, ready, many completions in one call. Keeps nothing of a batch but its token. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_setname_np */
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <bfr/plugin.h>
#include <bfr/text.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

enum { MAX_SLOTS = 1024 };

struct slot {
    uint64_t token;
    uint64_t due_ns; /* host->monotonic_ns */
};

struct slow {
    const struct bfr_host *host;
    uint64_t least_ns, spread_ns; /* latency: least + [0, spread) */
    uint32_t outage_percent;
    uint32_t slots;

    pthread_t thread; /* runs from start to stop */
    int started;

    pthread_mutex_t lock; /* guards what follows; never held while the host is called */
    pthread_cond_t news;  /* a delivery came, a round ended, or stopping */
    int stopping;
    int refused;         /* a put was cut short since the last host->ready */
    uint32_t completing; /* taken out of `open`, host->complete has not returned */
    uint32_t count;
    struct slot open[MAX_SLOTS];
    uint64_t chance; /* state of the pseudo-random numbers */
};

/* Knuth's linear congruential generator: repeatable, which is what a test wants. */
static uint64_t roll(struct slow *me, uint64_t below)
{
    me->chance = me->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below > 0 ? (me->chance >> 33) % below : 0;
}

/* Wait for news, at most until `due_ns` on the host's clock. With the lock held. */
static void wait_until(struct slow *me, uint64_t now_ns, uint64_t due_ns)
{
    struct timespec when;
    uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    clock_gettime(CLOCK_MONOTONIC, &when);
    left_ns += (uint64_t)when.tv_nsec;
    when.tv_sec += (time_t)(left_ns / NS_PER_S);
    when.tv_nsec = (long)(left_ns % NS_PER_S);
    pthread_cond_timedwait(&me->news, &me->lock, &when);
}

static uint64_t earliest(const struct slow *me)
{
    uint64_t due_ns = UINT64_MAX;
    for (uint32_t i = 0; i < me->count; i++)
        if (me->open[i].due_ns < due_ns)
            due_ns = me->open[i].due_ns;
    return due_ns;
}

static struct bfr_completion end_of(struct slow *me, uint64_t token)
{
    struct bfr_completion end = {.size = sizeof end, .outcome = BFR_STORED, .token = token};
    if (roll(me, 100) < me->outage_percent) {
        end.outcome = BFR_RETRY;
        end.flags = BFR_OUTAGE;
        end.text = "outage_percent said so";
    }
    return end;
}

/* Take out what is due. Returns how many completions were written. With the lock held. */
static uint32_t collect(struct slow *me, uint64_t now_ns, struct bfr_completion *out)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < me->count;) {
        if (me->open[i].due_ns > now_ns) {
            i++;
            continue;
        }
        out[done++] = end_of(me, me->open[i].token);
        me->open[i] = me->open[--me->count];
    }
    me->completing = done;
    return done;
}

/* Called and left with the lock held; given up for the calls into the host. */
static void report(struct slow *me, const struct bfr_completion *ends, uint32_t count)
{
    const struct bfr_completion *list[MAX_SLOTS];
    int wake = me->refused;
    me->refused = 0;
    pthread_mutex_unlock(&me->lock);
    for (uint32_t i = 0; i < count; i++)
        list[i] = &ends[i];
    me->host->complete(me->host, list, count);
    if (wake)
        me->host->ready(me->host);
    pthread_mutex_lock(&me->lock);
    me->completing = 0;
    pthread_cond_broadcast(&me->news);
}

static void *run(void *arg)
{
    struct slow *me = arg;
    struct bfr_completion ends[MAX_SLOTS];
    pthread_mutex_lock(&me->lock);
    while (!me->stopping) {
        uint64_t now_ns = me->host->monotonic_ns(me->host); /* takes no lock of ours: allowed anywhere */
        uint32_t done = collect(me, now_ns, ends);
        if (done > 0)
            report(me, ends, done);
        else if (me->count > 0)
            wait_until(me, now_ns, earliest(me));
        else
            pthread_cond_wait(&me->news, &me->lock);
    }
    pthread_mutex_unlock(&me->lock);
    return NULL;
}

static size_t put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct slow *me = self;
    uint64_t now_ns = me->host->monotonic_ns(me->host);
    pthread_mutex_lock(&me->lock);
    size_t room = me->slots - me->count;
    size_t taken = count < room ? count : room;
    for (size_t i = 0; i < taken; i++) {
        struct slot *slot = &me->open[me->count++];
        slot->token = deliveries[i]->token;
        slot->due_ns = now_ns + me->least_ns + roll(me, me->spread_ns);
    }
    if (taken < count)
        me->refused = 1; /* the rest stays with the host until we call ready */
    pthread_cond_broadcast(&me->news);
    pthread_mutex_unlock(&me->lock);
    return taken;
}

static uint32_t max_in_flight(void *self)
{
    return ((struct slow *)self)->slots;
}

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct slow *me = calloc(1, sizeof *me);
    if (me == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    uint64_t least_ms = (uint64_t)host->config_integer(host, "latency_min");
    uint64_t most_ms = (uint64_t)host->config_integer(host, "latency_max");
    if (most_ms < least_ms) {
        free(me);
        return bfr_err_set(err, BFR_EINVAL, "latency_max is below latency_min; raise the one or lower the other");
    }
    me->host = host;
    me->least_ns = least_ms * NS_PER_MS;
    me->spread_ns = (most_ms - least_ms) * NS_PER_MS;
    me->outage_percent = (uint32_t)host->config_integer(host, "outage_percent");
    me->slots = (uint32_t)host->config_integer(host, "slots");
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&me->lock, NULL);
    pthread_cond_init(&me->news, &clock);
    pthread_condattr_destroy(&clock);
    *out_self = me;
    return BFR_OK;
}

static uint32_t start(void *self, struct bfr_err *err)
{
    struct slow *me = self;
    sigset_t all, before;
    sigfillset(&all); /* signals are the daemon's business: the thread inherits this mask */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&me->thread, NULL, run, me);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot start a thread (error %d); check the limit on threads", failure);
    pthread_setname_np(me->thread, "slow");
    me->started = 1;
    return BFR_OK;
}

static void drain(void *self, uint64_t deadline_ns)
{
    struct slow *me = self;
    pthread_mutex_lock(&me->lock);
    me->refused = 0; /* nothing is put any more */
    for (;;) {
        uint64_t now_ns = me->host->monotonic_ns(me->host);
        if (me->count + me->completing == 0 || now_ns >= deadline_ns)
            break;
        wait_until(me, now_ns, deadline_ns);
    }
    pthread_mutex_unlock(&me->lock);
}

/* The thread first: then nobody but us can complete what is left. */
static void stop(void *self)
{
    struct slow *me = self;
    pthread_mutex_lock(&me->lock);
    me->stopping = 1;
    pthread_cond_broadcast(&me->news);
    pthread_mutex_unlock(&me->lock);
    if (me->started)
        pthread_join(me->thread, NULL);
    me->started = 0;
    for (uint32_t i = 0; i < me->count; i++) {
        const struct bfr_delivery unfinished = {.token = me->open[i].token};
        bfr_complete_retry(me->host, &unfinished, BFR_OUTAGE, "the sink was stopped before the latency was over");
    }
    me->count = 0;
}

static void destroy(void *self)
{
    struct slow *me = self;
    pthread_cond_destroy(&me->news);
    pthread_mutex_destroy(&me->lock);
    free(me);
}

static const struct bfr_option options[] = {
    {.name = "latency_min", .type = BFR_OPTION_DURATION, .fallback = "1ms", .help = "the shortest time to complete"},
    {.name = "latency_max", .type = BFR_OPTION_DURATION, .fallback = "50ms", .help = "the longest time to complete"},
    {.name = "outage_percent", .type = BFR_OPTION_INTEGER, .fallback = "0", .max = "100", .help = "how many fail"},
    {.name = "slots", .type = BFR_OPTION_INTEGER, .fallback = "32", .min = "1", .max = "1024", .help = "most at once"},
};

static const struct bfr_life life = {
    .size = sizeof life,
    .create = create,
    .start = start,
    .drain = drain,
    .stop = stop,
    .destroy = destroy,
};

static const struct bfr_sink_vtable sink = {sizeof sink, put, max_in_flight};

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "slow",
    .version = "1.0",
    .summary = "pretends to store and takes its time: for trying out a pipeline",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .option_size = sizeof *options,
    .life = &life,
    .vtable = &sink,
};

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return &plugin;
}
