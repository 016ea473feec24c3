// SPDX-License-Identifier: Apache-2.0
// The fake host from the outside: made for one stage, drives its life as the daemon would, ends it. Runs on the test's
// thread.
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

struct bfr_fake *bfr_fake_of(const struct bfr_host *host)
{
    return (struct bfr_fake *)(uintptr_t)host;
}

void *bfr_fake_grow(void *block, size_t count, size_t element_size)
{
    void *grown = realloc(block, count * element_size);
    if (grown == NULL) {
        fprintf(stderr, "testkit: out of memory\n");
        abort();
    }
    return grown;
}

char *bfr_fake_copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(bfr_fake_grow(NULL, size, 1), text, size);
}

struct timespec bfr_fake_deadline(uint32_t timeout_ms)
{
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += timeout_ms / 1000;
    when.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_sec++;
        when.tv_nsec -= 1000000000;
    }
    return when;
}

static void init_locks(struct bfr_fake *fake)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->news, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct bfr_fake *bfr_fake_new(const struct bfr_plugin *plugin, const char *stage, const char *const *pairs,
                              size_t pair_count, struct bfr_err *err)
{
    struct bfr_fake *fake = bfr_fake_grow(NULL, 1, sizeof *fake);
    memset(fake, 0, sizeof *fake);
    init_locks(fake);
    fake->plugin = plugin;
    fake->state = BFR_FAKE_NEW;
    fake->stage = bfr_fake_copy(stage);
    fake->table.size = sizeof fake->table;
    fake->table.abi_minor = BFR_ABI_MINOR;
    fake->table.stage = fake->stage;
    bfr_fake_fill_deliveries(&fake->table);
    bfr_fake_fill_batches(&fake->table);
    bfr_fake_fill_options(&fake->table);
    bfr_fake_fill_records(&fake->table);
    if (bfr_fake_values_load(&fake->values, plugin, pairs, pair_count, err) != BFR_OK) {
        bfr_fake_free(fake);
        return NULL;
    }
    return fake;
}

const struct bfr_host *bfr_fake_host(struct bfr_fake *fake)
{
    return &fake->table;
}

void *bfr_fake_self(struct bfr_fake *fake)
{
    return fake->self;
}

static enum bfr_fake_state get_state(struct bfr_fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    enum bfr_fake_state state = fake->state;
    pthread_mutex_unlock(&fake->lock);
    return state;
}

static void set_state(struct bfr_fake *fake, enum bfr_fake_state state)
{
    pthread_mutex_lock(&fake->lock);
    fake->state = state;
    pthread_mutex_unlock(&fake->lock);
}

static void breach(struct bfr_fake *fake, const char *what)
{
    pthread_mutex_lock(&fake->lock);
    bfr_fake_breach(fake, "%s", what);
    pthread_mutex_unlock(&fake->lock);
}

// A status outside the enum, or a failure nobody explains, helps no operator.
static uint32_t judge(struct bfr_fake *fake, const char *call, uint32_t status, const struct bfr_err *err)
{
    char text[96];
    if (status > BFR_ENOENT)
        snprintf(text, sizeof text, "%s returned %u, which is no status", call, status);
    else if (status != BFR_OK && err->text[0] == '\0')
        snprintf(text, sizeof text, "%s failed and said nothing in err->text", call);
    else
        return status;
    breach(fake, text);
    return status;
}

uint32_t bfr_fake_create(struct bfr_fake *fake, struct bfr_err *err)
{
    char mark; // an address the plugin cannot know
    void *const untouched = &mark;
    void *self = untouched;
    set_state(fake, BFR_FAKE_CREATING);
    uint32_t status = judge(fake, "create", fake->plugin->life->create(&fake->table, &self, err), err);
    set_state(fake, status == BFR_OK ? BFR_FAKE_CREATED : BFR_FAKE_DESTROYED);
    if (status == BFR_OK && self == untouched)
        breach(fake, "create succeeded and left *out_self unset");
    if (status != BFR_OK && self != untouched)
        breach(fake, "create failed and wrote *out_self all the same");
    fake->self = status == BFR_OK && self != untouched ? self : NULL;
    return status;
}

uint32_t bfr_fake_start(struct bfr_fake *fake, struct bfr_err *err)
{
    const struct bfr_life *life = fake->plugin->life;
    set_state(fake, BFR_FAKE_STARTED);
    uint32_t status = BFR_OK;
    if (BFR_HAS_CALL(life, start))
        status = judge(fake, "start", life->start(fake->self, err), err);
    if (status != BFR_OK)
        set_state(fake, BFR_FAKE_STOPPED);
    return status;
}

void bfr_fake_drain(struct bfr_fake *fake, uint64_t deadline_ns)
{
    set_state(fake, BFR_FAKE_DRAINING);
    if (BFR_HAS_CALL(fake->plugin->life, drain))
        fake->plugin->life->drain(fake->self, deadline_ns);
}

void bfr_fake_stop(struct bfr_fake *fake)
{
    if (BFR_HAS_CALL(fake->plugin->life, stop))
        fake->plugin->life->stop(fake->self);
    set_state(fake, BFR_FAKE_STOPPED);
    if (bfr_fake_open(fake) > 0)
        breach(fake, "stop returned before every delivery was completed");
}

void bfr_fake_destroy(struct bfr_fake *fake)
{
    fake->plugin->life->destroy(fake->self);
    fake->self = NULL;
    set_state(fake, BFR_FAKE_DESTROYED);
}

uint32_t bfr_fake_reload(struct bfr_fake *fake, struct bfr_err *err)
{
    if (!BFR_HAS_CALL(fake->plugin->life, reload))
        return BFR_OK;
    return judge(fake, "reload", fake->plugin->life->reload(fake->self, err), err);
}

bool bfr_fake_health(struct bfr_fake *fake, struct bfr_health *out)
{
    *out = (struct bfr_health){.size = sizeof *out};
    if (!BFR_HAS_CALL(fake->plugin->life, health))
        return false;
    fake->plugin->life->health(fake->self, out);
    if (out->state < BFR_HEALTH_OK || out->state > BFR_HEALTH_FAILED)
        breach(fake, "health answered with no state of enum bfr_health_state");
    if (memchr(out->reason, '\0', sizeof out->reason) == NULL)
        breach(fake, "health wrote a reason without its end");
    if (out->state != BFR_HEALTH_OK && out->reason[0] == '\0')
        breach(fake, "health is not OK and gives no reason");
    return true;
}

static void end_stage(struct bfr_fake *fake)
{
    enum bfr_fake_state state = get_state(fake);
    if (state == BFR_FAKE_STARTED || state == BFR_FAKE_DRAINING)
        bfr_fake_stop(fake);
    state = get_state(fake);
    if (state == BFR_FAKE_CREATED || state == BFR_FAKE_STOPPED)
        bfr_fake_destroy(fake);
}

static void free_lines(struct bfr_fake_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->lines[i]);
    free(lines->lines);
}

void bfr_fake_free(struct bfr_fake *fake)
{
    if (fake == NULL)
        return;
    end_stage(fake);
    bfr_fake_run_posts(fake);
    for (size_t i = 0; i < fake->record_count; i++) {
        if (fake->records[i].delivery != NULL)
            bfr_fake_batch_release(fake, fake->records[i].delivery->batch);
        free(fake->records[i].delivery);
    }
    free(fake->records);
    free(fake->tickets);
    for (struct bfr_metric *metric = fake->metrics, *next; metric != NULL; metric = next) {
        next = metric->next;
        free(metric->name);
        free(metric);
    }
    bfr_fake_values_free(&fake->values);
    free_lines(&fake->misuses);
    free_lines(&fake->logs);
    free_lines(&fake->keys);
    pthread_cond_destroy(&fake->news);
    pthread_mutex_destroy(&fake->lock);
    free(fake->stage);
    free(fake);
}
