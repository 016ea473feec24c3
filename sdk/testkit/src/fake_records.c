// SPDX-License-Identifier: Apache-2.0
// The host calls that only record or answer: log, clocks, options, metrics, post, extensions. [any]
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/ext/activity.h>
#include <bfr/ext/metrics.h>
#include <bfr/ext/settings.h>
#include <bfr/ext/status.h>

void bfr_fake_lines_add(struct bfr_fake_lines *lines, const char *line)
{
    lines->lines = bfr_fake_grow(lines->lines, lines->count + 1, sizeof *lines->lines);
    lines->lines[lines->count++] = bfr_fake_copy(line);
}

void bfr_fake_breach(struct bfr_fake *fake, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    bfr_fake_lines_add(&fake->misuses, line);
}

static const char *line_at(struct bfr_fake *fake, const struct bfr_fake_lines *lines, size_t index)
{
    pthread_mutex_lock(&fake->lock);
    const char *line = index < lines->count ? lines->lines[index] : NULL;
    pthread_mutex_unlock(&fake->lock);
    return line;
}

const char *bfr_fake_misuse(struct bfr_fake *fake, size_t index)
{
    return line_at(fake, &fake->misuses, index);
}

const char *bfr_fake_log(struct bfr_fake *fake, size_t index)
{
    return line_at(fake, &fake->logs, index);
}

const char *bfr_fake_key(struct bfr_fake *fake, size_t index)
{
    return line_at(fake, &fake->keys, index);
}

static void log_line(const struct bfr_host *host, uint32_t level, const char *message, const char *const *fields)
{
    static const char *const levels[] = {"?", "debug", "info", "warn", "error"};
    struct bfr_fake *fake = bfr_fake_of(host);
    char line[1024];
    int used = snprintf(line, sizeof line, "%s %s", levels[level <= BFR_LOG_ERROR ? level : 0], message);
    for (; fields != NULL && fields[0] != NULL && fields[1] != NULL; fields += 2)
        if (used >= 0 && (size_t)used < sizeof line)
            used += snprintf(line + used, sizeof line - (size_t)used, " %s=%s", fields[0], fields[1]);
    pthread_mutex_lock(&fake->lock);
    if (level < BFR_LOG_DEBUG || level > BFR_LOG_ERROR)
        bfr_fake_breach(fake, "logged '%s' with level %u, which is none of enum bfr_log_level", message, level);
    bfr_fake_lines_add(&fake->logs, line);
    pthread_mutex_unlock(&fake->lock);
}

static uint64_t monotonic_ns(const struct bfr_host *host)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&fake->lock);
    uint64_t value = fake->clock_faked ? fake->clock_ns : (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    pthread_mutex_unlock(&fake->lock);
    return value;
}

static int64_t wall_ns(const struct bfr_host *host)
{
    (void)host;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bfr_fake_clock_set(struct bfr_fake *fake, uint64_t monotonic)
{
    pthread_mutex_lock(&fake->lock);
    fake->clock_faked = true;
    fake->clock_ns = monotonic;
    pthread_mutex_unlock(&fake->lock);
}

void bfr_fake_clock_advance(struct bfr_fake *fake, uint64_t ns)
{
    bfr_fake_clock_set(fake, monotonic_ns(&fake->table) + ns);
}

// The value of `name`, or NULL, recorded as a breach, when the table has no such option of one of these types.
static const struct bfr_fake_value *option_value(const struct bfr_host *host, const char *name, uint32_t types)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    const struct bfr_fake_value *value = bfr_fake_values_find(&fake->values, name);
    if (value != NULL && (types & UINT32_C(1) << value->option->type) != 0)
        return value;
    pthread_mutex_lock(&fake->lock);
    bfr_fake_breach(fake, "asked for option %s, which is %s", name,
                    value == NULL ? "not in its table" : "of another type");
    pthread_mutex_unlock(&fake->lock);
    return NULL;
}

static bool config_has(const struct bfr_host *host, const char *name)
{
    const struct bfr_fake_value *value = option_value(host, name, ~UINT32_C(0));
    return value != NULL && value->given;
}

static const char *config_string(const struct bfr_host *host, const char *name)
{
    const struct bfr_fake_value *value =
        option_value(host, name, UINT32_C(1) << BFR_OPTION_STRING | UINT32_C(1) << BFR_OPTION_PATH);
    return value != NULL ? value->text : "";
}

static bool config_bool(const struct bfr_host *host, const char *name)
{
    const struct bfr_fake_value *value = option_value(host, name, UINT32_C(1) << BFR_OPTION_BOOL);
    return value != NULL && value->integer != 0;
}

static int64_t config_integer(const struct bfr_host *host, const char *name)
{
    const struct bfr_fake_value *value = option_value(
        host, name,
        UINT32_C(1) << BFR_OPTION_INTEGER | UINT32_C(1) << BFR_OPTION_SIZE | UINT32_C(1) << BFR_OPTION_DURATION);
    return value != NULL ? value->integer : 0;
}

static double config_number(const struct bfr_host *host, const char *name)
{
    const struct bfr_fake_value *value = option_value(host, name, UINT32_C(1) << BFR_OPTION_NUMBER);
    return value != NULL ? value->number : 0;
}

static const char *const *config_list(const struct bfr_host *host, const char *name, size_t *out_count)
{
    static const char *const none[] = {NULL};
    const struct bfr_fake_value *value =
        option_value(host, name, UINT32_C(1) << BFR_OPTION_LIST | UINT32_C(1) << BFR_OPTION_MAP);
    *out_count = value != NULL ? value->list_count : 0;
    return value != NULL ? value->list : none;
}

static struct bfr_metric *metric_register(const struct bfr_host *host, uint32_t type, const char *name,
                                          const char *help, const char *const *label_names)
{
    (void)help;
    (void)label_names;
    struct bfr_fake *fake = bfr_fake_of(host);
    struct bfr_metric *metric = NULL;
    pthread_mutex_lock(&fake->lock);
    if (fake->state != BFR_FAKE_CREATING)
        bfr_fake_breach(fake, "registered metric %s outside create", name);
    if (type < BFR_METRIC_COUNTER || type > BFR_METRIC_HISTOGRAM) {
        bfr_fake_breach(fake, "registered metric %s with type %u", name, type);
    } else {
        metric = bfr_fake_grow(NULL, 1, sizeof *metric);
        *metric = (struct bfr_metric){.type = type, .next = fake->metrics};
        metric->name = bfr_fake_copy(name);
        fake->metrics = metric;
    }
    pthread_mutex_unlock(&fake->lock);
    return metric;
}

static void use_metric(const struct bfr_host *host, const struct bfr_metric *metric, uint32_t type)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    pthread_mutex_lock(&fake->lock);
    if (metric == NULL)
        bfr_fake_breach(fake, "used a metric that was not registered");
    else if (metric->type != type)
        bfr_fake_breach(fake, "used metric %s with the call of another type", metric->name);
    pthread_mutex_unlock(&fake->lock);
}

static void metric_add(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                       double value)
{
    (void)label_values;
    (void)value;
    use_metric(host, metric, BFR_METRIC_COUNTER);
}

static void metric_set(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                       double value)
{
    (void)label_values;
    (void)value;
    use_metric(host, metric, BFR_METRIC_GAUGE);
}

static void metric_observe(const struct bfr_host *host, struct bfr_metric *metric, const char *const *label_values,
                           double value)
{
    (void)label_values;
    (void)value;
    use_metric(host, metric, BFR_METRIC_HISTOGRAM);
}

static bool post(const struct bfr_host *host, void (*fn)(void *arg), void *arg)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    pthread_mutex_lock(&fake->lock);
    bool accepted = fake->state == BFR_FAKE_STARTED || fake->state == BFR_FAKE_DRAINING;
    if (accepted) {
        struct bfr_fake_post **end = &fake->posts;
        while (*end != NULL)
            end = &(*end)->next;
        *end = bfr_fake_grow(NULL, 1, sizeof **end);
        **end = (struct bfr_fake_post){.fn = fn, .arg = arg};
        pthread_cond_broadcast(&fake->news);
    }
    pthread_mutex_unlock(&fake->lock);
    return accepted;
}

void bfr_fake_run_posts(struct bfr_fake *fake)
{
    for (;;) {
        pthread_mutex_lock(&fake->lock);
        struct bfr_fake_post *first = fake->posts;
        if (first != NULL)
            fake->posts = first->next;
        pthread_mutex_unlock(&fake->lock);
        if (first == NULL)
            return;
        first->fn(first->arg);
        free(first);
    }
}

// "status/1" of a daemon that has seen nothing yet.
static void visit_ledger(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_ledger_row *row),
                         void *arg)
{
    (void)host;
    const struct bfr_ledger_row total = {.size = sizeof total};
    visit(arg, &total);
}

static void visit_stages(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_stage_status *stage),
                         void *arg)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    const struct bfr_stage_status stage = {
        .size = sizeof stage,
        .kind = fake->plugin->kind,
        .stage = fake->stage,
        .plugin = fake->plugin->name,
        .state = BFR_HEALTH_OK,
        .reason = "",
    };
    visit(arg, &stage);
}

// The books of a fake host are not kept: what a queue finds by itself is seen in its stats.
static void account(const struct bfr_host *host, uint32_t entry, const char *tenant, uint64_t batches,
                    uint64_t body_bytes)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    (void)batches;
    (void)body_bytes;
    pthread_mutex_lock(&fake->lock);
    if (tenant == NULL || entry < BFR_ACCOUNT_FOUND_HELD || entry > BFR_ACCOUNT_PURGED_BURIED)
        bfr_fake_breach(fake, "account with an unknown entry or without a tenant");
    pthread_mutex_unlock(&fake->lock);
}

// Nothing is known, and every call is a line that a test can ask for.
static bool remember(const struct bfr_host *host, uint32_t state, const struct bfr_recent *recent)
{
    static const char *const names[] = {NULL, "held", "buried", "free"};
    struct bfr_fake *fake = bfr_fake_of(host);
    char line[sizeof "buried ///" + (size_t)2 * BFR_ID_MAX + BFR_FILENAME_MAX];
    pthread_mutex_lock(&fake->lock);
    if (recent == NULL || recent->tenant == NULL || recent->dataset == NULL || recent->filename == NULL ||
        state < BFR_KEY_HELD || state > BFR_KEY_FREE) {
        bfr_fake_breach(fake, "remember with an unknown state or without a key");
    } else {
        snprintf(line, sizeof line, "%s %s/%s/%s", names[state], recent->tenant, recent->dataset, recent->filename);
        bfr_fake_lines_add(&fake->keys, line);
    }
    pthread_mutex_unlock(&fake->lock);
    return false;
}

// "settings/1" of a daemon without a configuration.
static uint32_t settings_text(const struct bfr_host *host, const char *key, char *out, size_t room)
{
    (void)host;
    (void)key;
    if (room > 0)
        out[0] = '\0';
    return BFR_EINVAL;
}

// "activity/1" of a daemon without batches.
static uint64_t visit_flows(const struct bfr_host *host, uint64_t since,
                            bool (*visit)(void *arg, const struct bfr_flow *flow), void *arg)
{
    (void)host;
    (void)visit;
    (void)arg;
    return since;
}

static bool start_failure(const struct bfr_host *host, char *out, uint64_t room)
{
    (void)host;
    (void)out;
    (void)room;
    return false;
}

// "metrics/1" of a daemon without metrics.
static bool visit_samples(const struct bfr_host *host, bool (*visit)(void *arg, const struct bfr_sample *sample),
                          void *arg)
{
    (void)host;
    (void)visit;
    (void)arg;
    return true;
}

static const void *get_extension(const struct bfr_host *host, const char *id)
{
    (void)host;
    static const struct bfr_activity_1 activity = {sizeof activity, visit_flows, start_failure};
    static const struct bfr_metrics_1 metrics = {sizeof metrics, visit_samples};
    if (strcmp(id, BFR_EXT_ACTIVITY_1) == 0)
        return &activity;
    if (strcmp(id, BFR_EXT_METRICS_1) == 0)
        return &metrics;
    static const struct bfr_settings_1 settings = {sizeof settings, settings_text};
    static const struct bfr_status_1 status = {sizeof status, visit_ledger, visit_stages};
    if (strcmp(id, BFR_EXT_SETTINGS_1) == 0)
        return &settings;
    return strcmp(id, BFR_EXT_STATUS_1) == 0 ? &status : NULL;
}

void bfr_fake_fill_options(struct bfr_host *table)
{
    table->config_has = config_has;
    table->config_string = config_string;
    table->config_bool = config_bool;
    table->config_integer = config_integer;
    table->config_number = config_number;
    table->config_list = config_list;
}

void bfr_fake_fill_records(struct bfr_host *table)
{
    table->log = log_line;
    table->monotonic_ns = monotonic_ns;
    table->wall_ns = wall_ns;
    table->post = post;
    table->metric_register = metric_register;
    table->metric_add = metric_add;
    table->metric_set = metric_set;
    table->metric_observe = metric_observe;
    table->get_extension = get_extension;
    table->account = account;
    table->remember = remember;
}
