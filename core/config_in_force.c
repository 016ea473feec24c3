// SPDX-License-Identifier: Apache-2.0
// One lock around one pointer. The edge does not come here: each of its loops has the numbers it needs (http_rules.h).
#include "config_in_force.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "config_merge.h"

struct bfr_in_force {
    pthread_rwlock_t lock;
    struct bfr_config *config;
    struct bfr_reload_report report;
    _Atomic uint64_t payload_bytes;
};

struct bfr_in_force *bfr_in_force_new(struct bfr_config *config, int64_t at_ns)
{
    struct bfr_in_force *in_force = calloc(1, sizeof *in_force);
    if (in_force == NULL)
        return NULL;
    pthread_rwlock_init(&in_force->lock, NULL);
    in_force->config = config;
    in_force->report.generation = 1;
    in_force->report.since_ns = at_ns;
    in_force->report.ok = true;
    return in_force;
}

void bfr_in_force_free(struct bfr_in_force *in_force)
{
    if (in_force == NULL)
        return;
    bfr_config_free(in_force->config);
    bfr_texts_clear(&in_force->report.errors);
    bfr_texts_clear(&in_force->report.needs_restart);
    pthread_rwlock_destroy(&in_force->lock);
    free(in_force);
}

const struct bfr_config *bfr_in_force_enter(struct bfr_in_force *in_force)
{
    pthread_rwlock_rdlock(&in_force->lock);
    return in_force->config;
}

void bfr_in_force_leave(struct bfr_in_force *in_force)
{
    pthread_rwlock_unlock(&in_force->lock);
}

const struct bfr_reload_report *bfr_in_force_report(const struct bfr_in_force *in_force)
{
    return &in_force->report;
}

uint64_t bfr_in_force_payload(const struct bfr_in_force *in_force)
{
    return atomic_load(&in_force->payload_bytes);
}

void bfr_in_force_set_payload(struct bfr_in_force *in_force, uint64_t bytes)
{
    atomic_store(&in_force->payload_bytes, bytes);
}

static void note(struct bfr_reload_report *report, bool ok, int64_t at_ns, struct bfr_texts *texts)
{
    report->ok = ok;
    report->at_ns = at_ns;
    report->reloads++;
    bfr_texts_clear(&report->errors);
    if (ok)
        bfr_texts_clear(&report->needs_restart);
    *(ok ? &report->needs_restart : &report->errors) = *texts;
    *texts = (struct bfr_texts){0};
}

void bfr_in_force_replace(struct bfr_in_force *in_force, struct bfr_config *fresh, int64_t at_ns,
                          struct bfr_texts *needs_restart)
{
    pthread_rwlock_wrlock(&in_force->lock);
    struct bfr_config *former = in_force->config;
    bfr_config_take_over(fresh, former);
    in_force->config = fresh;
    in_force->report.generation++;
    in_force->report.since_ns = at_ns;
    note(&in_force->report, true, at_ns, needs_restart);
    pthread_rwlock_unlock(&in_force->lock);
    bfr_config_free(former);
}

void bfr_in_force_keep(struct bfr_in_force *in_force, int64_t at_ns, struct bfr_texts *errors)
{
    pthread_rwlock_wrlock(&in_force->lock);
    note(&in_force->report, false, at_ns, errors);
    pthread_rwlock_unlock(&in_force->lock);
}
