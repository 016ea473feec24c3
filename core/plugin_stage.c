// SPDX-License-Identifier: Apache-2.0
// The life of one stage: create, start, drain, stop, destroy, and the calls in between. Life-cycle calls come from the
// main thread; put and health from others. A call out of order is a bug of the core, a breach by the plugin is the
// plugin's (bfr_stage_misuse). Knows nothing of what a queue or a sink does.
#include "plugin_stage.h"

#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "bug.h"
#include "plugin_host.h"

struct bfr_stage *bfr_stage_new(const struct bfr_plugin *plugin, const char *name, const struct bfr_values *values,
                                const struct bfr_stage_env *env)
{
    bfr_must(plugin->option_count == 0 || values != NULL);
    struct bfr_stage *stage = calloc(1, sizeof *stage);
    char *copy = strdup(name);
    if (stage == NULL || copy == NULL) {
        free(stage);
        free(copy);
        return NULL;
    }
    stage->plugin = plugin;
    stage->name = copy;
    stage->values = values;
    stage->env = env;
    atomic_init(&stage->state, BFR_STAGE_NEW);
    pthread_mutex_init(&stage->health_lock, NULL);
    pthread_mutex_init(&stage->post_lock, NULL);
    bfr_host_fill(stage);
    return stage;
}

void bfr_stage_free(struct bfr_stage *stage)
{
    if (stage == NULL)
        return;
    if (bfr_stage_works(stage))
        bfr_stage_stop(stage);
    if (bfr_stage_state(stage) == BFR_STAGE_CREATED || bfr_stage_state(stage) == BFR_STAGE_STOPPED)
        bfr_stage_destroy(stage);
    pthread_mutex_destroy(&stage->post_lock);
    pthread_mutex_destroy(&stage->health_lock);
    free(stage->name);
    free(stage);
}

void bfr_stage_hook(struct bfr_stage *stage, const struct bfr_stage_hooks *hooks)
{
    bfr_must(!bfr_stage_works(stage)); // hooks are read without a lock once the plugin runs
    stage->hooks = *hooks;
}

static void enter(struct bfr_stage *stage, enum bfr_stage_state state)
{
    atomic_store_explicit(&stage->state, state, memory_order_release);
}

static void allow_questions(struct bfr_stage *stage, bool answers)
{
    pthread_mutex_lock(&stage->health_lock);
    stage->answers = answers;
    pthread_mutex_unlock(&stage->health_lock);
}

// Nothing of the plugin may run after destroy, so what it posted runs now.
static void end_work(struct bfr_stage *stage)
{
    bfr_stage_close_posts(stage);
    enter(stage, BFR_STAGE_STOPPED);
}

// Hand a plugin's error on, with the stage it happened to in front. The plugin wrote into a struct of our own, so a
// text without an end or without words does no harm.
static uint32_t pass_error(const struct bfr_stage *stage, uint32_t status, const char *call, struct bfr_err *text,
                           struct bfr_err *err)
{
    text->text[sizeof text->text - 1] = '\0';
    if (text->text[0] == '\0')
        bfr_err_set(text, status, "the plugin gave no reason (status %u), which is a bug of plugin '%s' %s", status,
                    stage->plugin->name, stage->plugin->version);
    return bfr_err_set(err, status, "stage '%s' (plugin '%s'): %s failed: %s", stage->name, stage->plugin->name, call,
                       text->text);
}

uint32_t bfr_stage_create(struct bfr_stage *stage, struct bfr_err *err)
{
    bfr_must(bfr_stage_state(stage) == BFR_STAGE_NEW);
    struct bfr_err text = {.size = sizeof text};
    void *self = NULL;
    uint32_t status = stage->plugin->life->create(&stage->host, &self, &text);
    if (status != BFR_OK)
        return pass_error(stage, status, "create", &text, err);
    stage->self = self;
    enter(stage, BFR_STAGE_CREATED);
    if (stage->own_metric[0] == '\0')
        return BFR_OK;
    bfr_stage_destroy(stage);
    return bfr_err_set(
        err, BFR_EINVAL,
        "stage '%s' (plugin '%s' %s): the plugin registers the metric 'bytefreezer_receiver_%s', which is "
        "the daemon's own; give it another name in the plugin",
        stage->name, stage->plugin->name, stage->plugin->version, stage->own_metric);
}

// The state changes before the call, because threads made in `start` may report at once.
uint32_t bfr_stage_start(struct bfr_stage *stage, struct bfr_err *err)
{
    bfr_must(bfr_stage_state(stage) == BFR_STAGE_CREATED);
    const struct bfr_life *life = stage->plugin->life;
    enter(stage, BFR_STAGE_STARTED);
    if (BFR_HAS_CALL(life, start)) {
        struct bfr_err text = {.size = sizeof text};
        uint32_t status = life->start(stage->self, &text);
        if (status != BFR_OK) {
            end_work(stage);
            return pass_error(stage, status, "start", &text, err);
        }
    }
    allow_questions(stage, true);
    return BFR_OK;
}

void bfr_stage_drain(struct bfr_stage *stage, uint64_t deadline_ns)
{
    bfr_must(bfr_stage_state(stage) == BFR_STAGE_STARTED);
    const struct bfr_life *life = stage->plugin->life;
    enter(stage, BFR_STAGE_DRAINING);
    if (BFR_HAS_CALL(life, drain))
        life->drain(stage->self, deadline_ns);
}

// What the plugin completes inside `stop` still counts; what comes later is misuse.
void bfr_stage_stop(struct bfr_stage *stage)
{
    bfr_must(bfr_stage_works(stage));
    const struct bfr_life *life = stage->plugin->life;
    allow_questions(stage, false);
    enter(stage, BFR_STAGE_DRAINING);
    if (BFR_HAS_CALL(life, stop))
        life->stop(stage->self);
    end_work(stage);
}

void bfr_stage_destroy(struct bfr_stage *stage)
{
    bfr_must(bfr_stage_state(stage) == BFR_STAGE_CREATED || bfr_stage_state(stage) == BFR_STAGE_STOPPED);
    stage->plugin->life->destroy(stage->self);
    stage->self = NULL;
    enter(stage, BFR_STAGE_DESTROYED);
}

uint32_t bfr_stage_reload(struct bfr_stage *stage, struct bfr_err *err)
{
    bfr_must(bfr_stage_state(stage) == BFR_STAGE_STARTED);
    const struct bfr_life *life = stage->plugin->life;
    if (!BFR_HAS_CALL(life, reload))
        return BFR_OK;
    struct bfr_err text = {.size = sizeof text};
    uint32_t status = life->reload(stage->self, &text);
    return status == BFR_OK ? BFR_OK : pass_error(stage, status, "reload", &text, err);
}

const struct bfr_values *bfr_stage_set_values(struct bfr_stage *stage, const struct bfr_values *values)
{
    const struct bfr_values *former = stage->values;
    stage->values = values;
    return former;
}

static void say_health(struct bfr_health *out, uint32_t state, const char *reason)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->state = state;
    memcpy(out->reason, reason, strlen(reason) + 1);
}

// The plugin's own word. False when what it said cannot be used.
static bool ask_health(const struct bfr_stage *stage, struct bfr_health *out)
{
    const struct bfr_life *life = stage->plugin->life;
    if (!BFR_HAS_CALL(life, health)) {
        say_health(out, BFR_HEALTH_OK, "");
        return true;
    }
    say_health(out, 0, "");
    life->health(stage->self, out);
    out->size = sizeof *out;
    out->reason[sizeof out->reason - 1] = '\0';
    return out->state >= BFR_HEALTH_OK && out->state <= BFR_HEALTH_FAILED;
}

void bfr_stage_health(struct bfr_stage *stage, struct bfr_health *out)
{
    bool sensible = true;
    pthread_mutex_lock(&stage->health_lock);
    if (stage->answers)
        sensible = ask_health(stage, out);
    else
        say_health(out, BFR_HEALTH_FAILED, bfr_stage_works(stage) ? "starting or stopping" : "not running");
    pthread_mutex_unlock(&stage->health_lock);
    if (!sensible) {
        say_health(out, BFR_HEALTH_DEGRADED, "the plugin did not say how it is");
        bfr_stage_misuse(stage, "health without a valid state");
    }
}

bool bfr_stage_probed(struct bfr_stage *stage)
{
    bfr_must(bfr_stage_works(stage));
    const struct bfr_life *life = stage->plugin->life;
    return !BFR_HAS_CALL(life, probed) || life->probed(stage->self);
}

const char *bfr_stage_name(const struct bfr_stage *stage)
{
    return stage->name;
}

const struct bfr_plugin *bfr_stage_plugin(const struct bfr_stage *stage)
{
    return stage->plugin;
}

uint32_t bfr_stage_kind(const struct bfr_stage *stage)
{
    return stage->plugin->kind;
}

enum bfr_stage_state bfr_stage_state(const struct bfr_stage *stage)
{
    return (enum bfr_stage_state)atomic_load_explicit(&stage->state, memory_order_acquire);
}

const struct bfr_host *bfr_stage_host(struct bfr_stage *stage)
{
    return &stage->host;
}

void *bfr_stage_self(const struct bfr_stage *stage)
{
    return stage->self;
}

static const void *table_of(const struct bfr_stage *stage, uint32_t kind)
{
    return stage->plugin->kind == kind ? stage->plugin->vtable : NULL;
}

const struct bfr_queue_vtable *bfr_stage_queue(const struct bfr_stage *stage)
{
    return table_of(stage, BFR_KIND_QUEUE);
}

const struct bfr_sink_vtable *bfr_stage_sink(const struct bfr_stage *stage)
{
    return table_of(stage, BFR_KIND_SINK);
}

const struct bfr_auth_vtable *bfr_stage_auth(const struct bfr_stage *stage)
{
    return table_of(stage, BFR_KIND_AUTH);
}

size_t bfr_stage_put(struct bfr_stage *stage, const struct bfr_delivery *const *deliveries, size_t count)
{
    bfr_must(bfr_stage_works(stage));
    const struct bfr_queue_vtable *queue = bfr_stage_queue(stage);
    const struct bfr_sink_vtable *sink = bfr_stage_sink(stage);
    bfr_must(queue != NULL || sink != NULL);
    size_t taken =
        queue != NULL ? queue->put(stage->self, deliveries, count) : sink->put(stage->self, deliveries, count);
    if (taken <= count)
        return taken;
    bfr_stage_misuse(stage, "put returned more than it was offered");
    return count;
}
