// SPDX-License-Identifier: Apache-2.0
// See watch.h. Counters only grow, so what is new is the difference to what was seen.
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#define STAGES_MAX 64
#define COUNTERS   3

struct seen_flow {
    uint64_t failed, buried;
};

struct watch {
    const struct bfr_host *host;
    const struct bfr_activity_1 *activity;
    const struct bfr_status_1 *status;
    const struct bfr_metrics_1 *metrics;
    uint64_t mark; // of the activity
    struct seen_flow *flows;
    uint32_t flow_count;
    struct {
        char name[64];
        uint32_t state;
    } stages[STAGES_MAX];
    size_t stage_count;
    double counters[COUNTERS];
    void (*found)(void *arg, const struct watch_finding *finding); // during a look
    void *arg;
};

struct watch *bfr_watch_new(const struct bfr_host *host)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->host = host;
    watch->activity = host->get_extension(host, BFR_EXT_ACTIVITY_1);
    watch->status = host->get_extension(host, BFR_EXT_STATUS_1);
    watch->metrics = host->get_extension(host, BFR_EXT_METRICS_1);
    return watch;
}

void bfr_watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    free(watch->flows);
    free(watch);
}

static void tell(struct watch *watch, struct watch_finding finding)
{
    const char **const texts[] = {&finding.account, &finding.tenant, &finding.dataset,
                                  &finding.stage,   &finding.plugin, &finding.cause};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (*texts[i] == NULL)
            *texts[i] = "";
    }
    watch->found(watch->arg, &finding);
}

static struct seen_flow *seen_of(struct watch *watch, uint32_t number)
{
    if (number < watch->flow_count)
        return &watch->flows[number];
    uint32_t count = number + 64;
    struct seen_flow *flows = realloc(watch->flows, count * sizeof *flows);
    if (flows == NULL)
        return NULL;
    memset(flows + watch->flow_count, 0, (count - watch->flow_count) * sizeof *flows);
    watch->flows = flows;
    watch->flow_count = count;
    return &flows[number];
}

static bool look_at_flow(void *arg, const struct bfr_flow *flow)
{
    struct watch *watch = arg;
    struct seen_flow *seen = seen_of(watch, flow->number);
    if (seen == NULL)
        return false;
    struct watch_finding finding = {
        .account = flow->account, .tenant = flow->tenant, .dataset = flow->dataset, .cause = flow->last_error};
    if (flow->buried_batches > seen->buried) {
        finding.kind = WATCH_BURIED;
        finding.count = flow->buried_batches - seen->buried;
        tell(watch, finding);
    }
    if (flow->failed_attempts > seen->failed) {
        finding.kind = WATCH_FAILED;
        finding.count = flow->failed_attempts - seen->failed;
        tell(watch, finding);
    }
    seen->buried = flow->buried_batches;
    seen->failed = flow->failed_attempts;
    return true;
}

static uint32_t *state_of(struct watch *watch, const char *name)
{
    for (size_t i = 0; i < watch->stage_count; i++) {
        if (strcmp(watch->stages[i].name, name) == 0)
            return &watch->stages[i].state;
    }
    if (watch->stage_count == STAGES_MAX || strlen(name) >= sizeof watch->stages[0].name)
        return NULL;
    strcpy(watch->stages[watch->stage_count].name, name); // NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits
    watch->stages[watch->stage_count].state = BFR_HEALTH_OK;
    return &watch->stages[watch->stage_count++].state;
}

// Only the change to worse is news; services report about others.
static bool look_at_stage(void *arg, const struct bfr_stage_status *stage)
{
    struct watch *watch = arg;
    uint32_t *state = stage->kind == BFR_KIND_SERVICE ? NULL : state_of(watch, stage->stage);
    if (state == NULL)
        return true;
    if (stage->state > *state)
        tell(watch, (struct watch_finding){.kind = WATCH_STAGE,
                                           .count = 1,
                                           .stage = stage->stage,
                                           .plugin = stage->plugin,
                                           .stage_kind = stage->kind,
                                           .failed = stage->state == BFR_HEALTH_FAILED,
                                           .cause = stage->reason});
    *state = stage->state;
    return true;
}

// The counters behind one kind of finding: a family and the values of one label.
static const struct {
    enum watch_kind kind;
    const char *name, *label;
    const char *values[3];
} counters[COUNTERS] = {
    {WATCH_OVERSIZE, "bytefreezer_receiver_refused_total", "reason", {"too_large"}},
    {WATCH_TOKEN, "bytefreezer_receiver_refused_total", "reason", {"token", "foreign"}},
    {WATCH_REFRESH, "bytefreezer_receiver_directory_refreshes_total", "result", {"failed"}},
};

static bool counts(size_t counter, const struct bfr_sample *sample)
{
    if (strcmp(sample->name, counters[counter].name) != 0 || sample->labels[0] == NULL ||
        strcmp(sample->labels[0], counters[counter].label) != 0)
        return false;
    for (size_t i = 0; i < 3 && counters[counter].values[i] != NULL; i++) {
        if (strcmp(sample->labels[1], counters[counter].values[i]) == 0)
            return true;
    }
    return false;
}

static bool add_sample(void *arg, const struct bfr_sample *sample)
{
    double *sums = arg;
    for (size_t i = 0; i < COUNTERS; i++) {
        if (counts(i, sample))
            sums[i] += sample->value;
    }
    return true;
}

static void look_at_counters(struct watch *watch)
{
    double sums[COUNTERS] = {0};
    if (watch->metrics == NULL || !watch->metrics->samples(watch->host, add_sample, sums))
        return;
    for (size_t i = 0; i < COUNTERS; i++) {
        if (sums[i] > watch->counters[i])
            tell(watch,
                 (struct watch_finding){.kind = counters[i].kind, .count = (uint64_t)(sums[i] - watch->counters[i])});
        watch->counters[i] = sums[i];
    }
}

void bfr_watch_look(struct watch *watch, void (*found)(void *arg, const struct watch_finding *finding), void *arg)
{
    watch->found = found;
    watch->arg = arg;
    // Stages first: flows can be thousands, and who listens has places for a few hundred.
    if (watch->status != NULL)
        watch->status->stages(watch->host, look_at_stage, watch);
    if (watch->activity != NULL)
        watch->mark = watch->activity->flows(watch->host, watch->mark, look_at_flow, watch);
    look_at_counters(watch);
}

static bool find_worst(void *arg, const struct bfr_stage_status *stage)
{
    uint32_t *worst = arg;
    if (stage->kind != BFR_KIND_SERVICE && stage->state > *worst)
        *worst = stage->state;
    return true;
}

uint32_t bfr_watch_health(const struct bfr_host *host, const struct bfr_status_1 *status)
{
    uint32_t worst = BFR_HEALTH_OK;
    if (status != NULL)
        status->stages(host, find_worst, &worst);
    return worst;
}
