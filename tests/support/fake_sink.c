// SPDX-License-Identifier: Apache-2.0
// See fake_sink.h. The mutex guards the list of what is open and is never held while the host is called.
#include "fake_sink.h"

#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

uint32_t fake_sink_window = 8;

void fake_sink_complete_token(struct fake_sink *sink, uint64_t token, const struct fake_answer *answer)
{
    const struct bfr_completion completion = {
        .size = sizeof completion,
        .outcome = answer->outcome,
        .token = token,
        .flags = answer->flags,
        .reason = answer->reason,
        .retry_after_ms = answer->retry_after_ms,
        .text = answer->outcome == BFR_STORED ? NULL : "fake trouble",
    };
    const struct bfr_completion *list[] = {&completion};
    sink->host->complete(sink->host, list, 1);
}

static void finish(struct fake_sink *sink, const struct bfr_delivery *delivery, const struct fake_answer *answer)
{
    uint64_t token = delivery->token;
    pthread_mutex_lock(&sink->lock);
    sink->in_flight--;
    pthread_mutex_unlock(&sink->lock);
    fake_sink_complete_token(sink, token, answer);
    if (sink->twice)
        fake_sink_complete_token(sink, token, answer);
}

static struct fake_answer decide(struct fake_sink *sink, const struct bfr_delivery *delivery)
{
    return sink->decide != NULL ? sink->decide(sink->decide_arg, delivery) : sink->answer;
}

static void *run(void *arg)
{
    struct fake_sink *sink = arg;
    pthread_mutex_lock(&sink->lock);
    for (;;) {
        while (sink->open_count == 0 && !sink->quit)
            pthread_cond_wait(&sink->changed, &sink->lock);
        if (sink->open_count == 0)
            break;
        struct bfr_delivery delivery = sink->open[--sink->open_count].delivery;
        pthread_mutex_unlock(&sink->lock);
        struct fake_answer answer = decide(sink, &delivery);
        finish(sink, &delivery, &answer);
        pthread_mutex_lock(&sink->lock);
    }
    pthread_mutex_unlock(&sink->lock);
    return NULL;
}

static uint32_t sink_create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    struct fake_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    sink->host = host;
    sink->answer.outcome = BFR_STORED;
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->changed, NULL);
    *out_self = sink;
    return BFR_OK;
}

static uint32_t sink_start(void *self, struct bfr_err *err)
{
    struct fake_sink *sink = self;
    if (!sink->threaded)
        return BFR_OK;
    if (pthread_create(&sink->thread, NULL, run, sink) != 0)
        return bfr_err_set(err, BFR_EFAIL, "no thread");
    sink->running = true;
    return BFR_OK;
}

size_t fake_sink_complete(struct fake_sink *sink, uint32_t outcome, uint32_t flags)
{
    struct fake_answer answer = {.outcome = outcome, .flags = flags};
    struct fake_open open[FAKE_SINK_OPEN_MAX];
    pthread_mutex_lock(&sink->lock);
    size_t count = sink->open_count;
    memcpy(open, sink->open, count * sizeof open[0]);
    sink->open_count = 0;
    pthread_mutex_unlock(&sink->lock);
    for (size_t i = 0; i < count; i++)
        finish(sink, &open[i].delivery, &answer);
    return count;
}

static void give_up(struct fake_sink *sink)
{
    fake_sink_complete(sink, sink->stop_outcome != 0 ? sink->stop_outcome : BFR_RETRY, 0);
}

static void sink_drain(void *self, uint64_t deadline_ns)
{
    struct fake_sink *sink = self;
    (void)deadline_ns;
    sink->drained = true;
    if (!sink->mute && !sink->late && !sink->threaded)
        give_up(sink);
}

static void sink_stop(void *self)
{
    struct fake_sink *sink = self;
    if (sink->running) {
        pthread_mutex_lock(&sink->lock);
        sink->quit = true;
        pthread_mutex_unlock(&sink->lock);
        pthread_cond_signal(&sink->changed);
        pthread_join(sink->thread, NULL);
        sink->running = false;
    }
    if (!sink->mute)
        give_up(sink);
    sink->stopped = true;
}

static void sink_destroy(void *self)
{
    struct fake_sink *sink = self;
    pthread_cond_destroy(&sink->changed);
    pthread_mutex_destroy(&sink->lock);
    free(sink);
}

static void keep(struct fake_sink *sink, const struct bfr_delivery *delivery)
{
    if (sink->open_count == FAKE_SINK_OPEN_MAX)
        abort();
    sink->open[sink->open_count++].delivery = *delivery;
}

static void note_taken(struct fake_sink *sink, const struct bfr_delivery *delivery)
{
    sink->taken++;
    sink->in_flight++;
    if (sink->in_flight > sink->in_flight_peak)
        sink->in_flight_peak = sink->in_flight;
    sink->last_token = delivery->token;
    strncpy(sink->last_filename, delivery->batch->filename, sizeof sink->last_filename - 1);
    strncpy(sink->last_tenant, delivery->batch->tenant, sizeof sink->last_tenant - 1);
    if (sink->threaded)
        keep(sink, delivery);
}

static void take_one(struct fake_sink *sink, const struct bfr_delivery *delivery)
{
    pthread_mutex_lock(&sink->lock);
    note_taken(sink, delivery);
    pthread_mutex_unlock(&sink->lock);
    if (sink->threaded) {
        pthread_cond_signal(&sink->changed);
        return;
    }
    struct fake_answer answer = decide(sink, delivery);
    if (answer.outcome != FAKE_SINK_HOLD) {
        finish(sink, delivery, &answer);
        return;
    }
    pthread_mutex_lock(&sink->lock);
    keep(sink, delivery);
    pthread_mutex_unlock(&sink->lock);
}

static size_t sink_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct fake_sink *sink = self;
    sink->puts++;
    sink->offered += count;
    if (sink->busy)
        return 0;
    size_t taken = sink->take_max > 0 && sink->take_max < count ? sink->take_max : count;
    for (size_t i = 0; i < taken; i++)
        take_one(sink, deliveries[i]);
    return sink->lie ? taken - 1 : taken;
}

static uint32_t sink_max_in_flight(void *self)
{
    (void)self;
    return fake_sink_window;
}

static const struct bfr_life sink_life = {
    .size = sizeof sink_life,
    .create = sink_create,
    .start = sink_start,
    .drain = sink_drain,
    .stop = sink_stop,
    .destroy = sink_destroy,
};

static const struct bfr_sink_vtable sink_vtable = {
    .size = sizeof sink_vtable, .put = sink_put, .max_in_flight = sink_max_in_flight};

const struct bfr_plugin fake_sink_plugin = {BFR_PLUGIN_HEAD,       .kind = BFR_KIND_SINK,         .name = "fake-sink",
                                            .version = "1",        .summary = "a sink for tests", .life = &sink_life,
                                            .vtable = &sink_vtable};
