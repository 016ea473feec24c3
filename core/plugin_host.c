// SPDX-License-Identifier: Apache-2.0
// The host table of one stage: what a plugin may ask of the daemon. Runs on whatever thread the plugin calls from.
// Checks every argument, because they come from other people's code; takes no lock that is held while a plugin is
// called.
#include "plugin_host.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "log.h"
#include "metrics_own.h"
#include "plugin_check.h"

#define METRIC_PREFIX   "bytefreezer_receiver_"
#define METRIC_NAME_MAX 128 // bytes, with the prefix

// Size in ABI 1.0: the least that a plugin's struct has.
#define BATCH_SIZE_1_0 (offsetof(struct bfr_batch, spans) + sizeof(const struct bfr_span *))

static void host_log(const struct bfr_host *host, uint32_t level, const char *message, const char *const *fields)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (message == NULL || level < BFR_LOG_DEBUG || level > BFR_LOG_ERROR) {
        bfr_stage_misuse(stage, message == NULL ? "log without a message" : "log with an unknown level");
        return;
    }
    bfr_log_write(level, stage->name, message, fields);
}

static uint64_t host_monotonic_ns(const struct bfr_host *host)
{
    return bfr_clock_now(bfr_host_stage(host)->env->clock);
}

static int64_t host_wall_ns(const struct bfr_host *host)
{
    return bfr_clock_wall(bfr_host_stage(host)->env->clock);
}

#define TYPE(name) (1U << BFR_OPTION_##name)
#define ANY_TYPE   (~0U)

// The values to read option `name` from, or NULL after a breach. The getters of config_values.h take a wrong name or
// type as a bug of the core, so both are caught here. `types` has a bit per type that may be asked so.
static const struct bfr_values *values_for(const struct bfr_host *host, const char *name, unsigned types)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    const struct bfr_option *option = name != NULL ? bfr_plugin_option_find(stage->plugin, name) : NULL;
    if (option != NULL && (types & (1U << option->type)) != 0)
        return stage->values;
    bfr_stage_misuse(stage, option == NULL ? "asks for an option that is not in its table"
                                           : "asks for an option with the getter of another type");
    return NULL;
}

static bool host_config_has(const struct bfr_host *host, const char *name)
{
    const struct bfr_values *values = values_for(host, name, ANY_TYPE);
    return values != NULL && bfr_values_has(values, name);
}

static const char *host_config_string(const struct bfr_host *host, const char *name)
{
    const struct bfr_values *values = values_for(host, name, TYPE(STRING) | TYPE(PATH));
    return values != NULL ? bfr_values_string(values, name) : "";
}

static bool host_config_bool(const struct bfr_host *host, const char *name)
{
    const struct bfr_values *values = values_for(host, name, TYPE(BOOL));
    return values != NULL && bfr_values_bool(values, name);
}

static int64_t host_config_integer(const struct bfr_host *host, const char *name)
{
    const struct bfr_values *values = values_for(host, name, TYPE(INTEGER) | TYPE(SIZE) | TYPE(DURATION));
    return values != NULL ? bfr_values_integer(values, name) : 0;
}

static double host_config_number(const struct bfr_host *host, const char *name)
{
    const struct bfr_values *values = values_for(host, name, TYPE(NUMBER));
    return values != NULL ? bfr_values_number(values, name) : 0;
}

static const char *const *host_config_list(const struct bfr_host *host, const char *name, size_t *out_count)
{
    static const char *const nothing[] = {NULL};
    size_t count = 0;
    const struct bfr_values *values = values_for(host, name, TYPE(LIST) | TYPE(MAP));
    const char *const *list = values != NULL ? bfr_values_list(values, name, &count) : nothing;
    if (out_count != NULL)
        *out_count = count;
    return list;
}

static bool host_post(const struct bfr_host *host, void (*fn)(void *arg), void *arg)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (fn != NULL && bfr_stage_works(stage))
        return bfr_stage_post(stage, fn, arg);
    bfr_stage_misuse(stage, fn == NULL ? "post of NULL" : "post outside of start to stop");
    return false;
}

static void host_batch_retain(const struct bfr_host *host, const struct bfr_batch *batch)
{
    if (batch == NULL)
        bfr_stage_misuse(bfr_host_stage(host), "batch_retain of NULL");
    else
        bfr_batch_retain(batch);
}

static void host_batch_release(const struct bfr_host *host, const struct bfr_batch *batch)
{
    if (batch == NULL)
        bfr_stage_misuse(bfr_host_stage(host), "batch_release of NULL");
    else
        bfr_batch_release(batch);
}

static const char *batch_fault(const struct bfr_batch *source)
{
    if (source == NULL)
        return "batch_make of NULL";
    if (source->size < BATCH_SIZE_1_0)
        return "batch_make with a size shorter than ABI 1.0 has";
    if (source->account == NULL || source->tenant == NULL || source->dataset == NULL || source->filename == NULL ||
        source->batch_id == NULL || source->data_hint == NULL || source->content_type == NULL)
        return "batch_make with a string that is NULL";
    if (source->span_count > 0 && source->spans == NULL)
        return "batch_make without spans";
    return NULL;
}

// A body that is counted (bfr_stage_env.hold) for as long as its batch lives.
struct counted_body {
    const struct bfr_stage_env *env;
    uint64_t bytes;
    void (*free_body)(void *arg);
    void *arg;
};

static void free_counted(void *arg)
{
    struct counted_body *body = arg;
    if (body->free_body != NULL)
        body->free_body(body->arg);
    body->env->let_go(body->env->memory_arg, body->bytes);
    free(body);
}

static const struct bfr_batch *make_counted(const struct bfr_stage_env *env, const struct bfr_batch *source,
                                            void (*free_body)(void *arg), void *arg)
{
    struct counted_body *body = malloc(sizeof *body);
    if (body == NULL)
        return NULL;
    *body = (struct counted_body){env, source->body_bytes, free_body, arg};
    env->hold(env->memory_arg, body->bytes);
    const struct bfr_batch *batch = bfr_batch_new(source, free_counted, body);
    if (batch == NULL) {
        env->let_go(env->memory_arg, body->bytes);
        free(body);
    }
    return batch;
}

static const struct bfr_batch *host_batch_make(const struct bfr_host *host, const struct bfr_batch *source,
                                               void (*free_body)(void *arg), void *arg)
{
    const char *fault = batch_fault(source);
    if (fault != NULL) {
        bfr_stage_misuse(bfr_host_stage(host), fault);
        return NULL;
    }
    // The plugin's struct may be older, hence shorter, than ours.
    struct bfr_batch full = {.size = 0};
    memcpy(&full, source, source->size < sizeof full ? source->size : sizeof full);
    const struct bfr_stage_env *env = bfr_host_stage(host)->env;
    bool counted = env->hold != NULL && full.span_count > 0;
    return counted ? make_counted(env, &full, free_body, arg) : bfr_batch_new(&full, free_body, arg);
}

static bool metric_name_valid(const char *name)
{
    if (name == NULL || !islower((unsigned char)name[0]))
        return false;
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return name[length] == '\0' && length + sizeof METRIC_PREFIX <= METRIC_NAME_MAX;
}

static struct bfr_metric *host_metric_register(const struct bfr_host *host, uint32_t type, const char *name,
                                               const char *help, const char *const *label_names)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (stage->env->metrics == NULL)
        return NULL;
    bool in_create = bfr_stage_state(stage) == BFR_STAGE_NEW;
    bool good_type = type >= BFR_METRIC_COUNTER && type <= BFR_METRIC_HISTOGRAM;
    if (!in_create || !good_type || !metric_name_valid(name) || help == NULL) {
        bfr_stage_misuse(stage, in_create ? "metric with a bad type, name or help" : "metric registered after create");
        return NULL;
    }
    if (bfr_metric_is_own(name)) { // the end of create: bfr_stage_create says so
        snprintf(stage->own_metric, sizeof stage->own_metric, "%s", name);
        return NULL;
    }
    char full[METRIC_NAME_MAX];
    snprintf(full, sizeof full, METRIC_PREFIX "%s", name);
    struct bfr_metric *metric = bfr_metrics_register(stage->env->metrics, type, full, help, label_names);
    if (metric == NULL)
        bfr_say(BFR_LOG_WARN, stage->name, "a metric of this stage is not exported: another stage has it otherwise",
                "metric", full, "plugin", stage->plugin->name, "way_out",
                "give it another name, or the type and labels that the other has", NULL);
    return metric;
}

// No series: the metric clashed when it was registered, or memory is short. Figures are then lost, never work.
static struct bfr_series *series_of(struct bfr_metric *metric, const char *const *label_values)
{
    return metric != NULL ? bfr_metric_series(metric, label_values) : NULL;
}

static void host_metric_add(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                            double value)
{
    (void)host;
    bfr_series_add(series_of(metric, label_values), value);
}

static void host_metric_set(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                            double value)
{
    (void)host;
    bfr_series_set(series_of(metric, label_values), value);
}

static void host_metric_observe(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                                double value)
{
    (void)host;
    bfr_series_observe(series_of(metric, label_values), value);
}

static const void *host_get_extension(const struct bfr_host *host, const char *id)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (id == NULL) {
        bfr_stage_misuse(stage, "get_extension of NULL");
        return NULL;
    }
    if (strcmp(id, BFR_EXT_SETTINGS_1) == 0)
        return stage->env->settings;
    if (strcmp(id, BFR_EXT_ACTIVITY_1) == 0)
        return stage->env->activity;
    if (strcmp(id, BFR_EXT_METRICS_1) == 0)
        return stage->env->samples;
    return strcmp(id, BFR_EXT_STATUS_1) == 0 ? stage->env->status : NULL;
}

void bfr_host_fill(struct bfr_stage *stage)
{
    stage->host = (struct bfr_host){
        .size = sizeof(struct bfr_host),
        .abi_minor = BFR_ABI_MINOR,
        .stage = stage->name,
        .log = host_log,
        .monotonic_ns = host_monotonic_ns,
        .wall_ns = host_wall_ns,
        .config_has = host_config_has,
        .config_string = host_config_string,
        .config_bool = host_config_bool,
        .config_integer = host_config_integer,
        .config_number = host_config_number,
        .config_list = host_config_list,
        .complete = bfr_host_complete,
        .ready = bfr_host_ready,
        .verdict = bfr_host_verdict,
        .post = host_post,
        .batch_retain = host_batch_retain,
        .batch_release = host_batch_release,
        .batch_make = host_batch_make,
        .metric_register = host_metric_register,
        .metric_add = host_metric_add,
        .metric_set = host_metric_set,
        .metric_observe = host_metric_observe,
        .get_extension = host_get_extension,
        .account = bfr_host_account,
        .remember = bfr_host_remember,
    };
}
