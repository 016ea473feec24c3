// SPDX-License-Identifier: Apache-2.0
// The order of a reload: read and check everything, prepare what can fail, let the stages take theirs, and only then change
// what is in force, which cannot fail. Main thread, which serves nobody meanwhile; only the asking runs elsewhere.
#include "app_reload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_payload.h"
#include "config_merge.h"
#include "log.h"
#include "pipe_pipeline.h"

struct bfr_reloader {
    struct bfr_reloader_setup set;
    struct bfr_reload_parts parts;
    struct bfr_config_flags flags;
    char *path;           // NULL: defaults and the environment
    pthread_mutex_t lock; // of the rest
    pthread_cond_t finished;
    uint64_t asked; // how many have
    uint64_t done;  // how many of them have been served
    bool posted;
    bool open;
    bool closed;
};

// One reload on its way.
struct attempt {
    struct bfr_diag *diag;
    struct bfr_config *fresh;
    struct bfr_http_change *change;
    uint64_t payload_bytes; // largest body that is taken
    SSL_CTX *context;       // of the API
    struct bfr_texts errors;
    struct bfr_texts needs_restart;
    size_t first; // of the stages that have been reloaded, which is done from the last to the first
    const struct bfr_values *former[BFR_STAGES_MAX];
};

// --- what can fail

// In the words of whoever found it, once in the log and once for who asks.
static bool fail(struct attempt *attempt, const char *error)
{
    bfr_texts_add(&attempt->errors, "%s", error);
    bfr_say(BFR_LOG_ERROR, "main", "the configuration was refused", "finding", error, NULL);
    return false;
}

static bool read_again(struct bfr_reloader *reloader, struct attempt *attempt)
{
    attempt->diag = bfr_diag_new();
    if (attempt->diag != NULL)
        attempt->fresh = bfr_assembly_reread(reloader->set.assembly, reloader->path, &reloader->flags, attempt->diag);
    if (attempt->fresh == NULL)
        return fail(attempt, "out of memory");
    bfr_diag_log(attempt->diag);
    bfr_diag_list(attempt->diag, &attempt->errors);
    return bfr_diag_errors(attempt->diag) == 0;
}

// The main thread alone replaces what is in force, so it may look without holding it.
static bool merge(struct bfr_reloader *reloader, struct attempt *attempt)
{
    const struct bfr_config *running = bfr_in_force_enter(reloader->set.in_force);
    bfr_in_force_leave(reloader->set.in_force);
    return bfr_config_merge(attempt->fresh, running, &attempt->needs_restart) || fail(attempt, "out of memory");
}

static bool prepare(struct bfr_reloader *reloader, struct attempt *attempt)
{
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_settings *settings = bfr_config_settings(attempt->fresh);
    attempt->payload_bytes = bfr_payload_limit(settings, reloader->set.assembly);
    uint32_t status =
        bfr_http_server_prepare(reloader->parts.http, settings, attempt->payload_bytes, &attempt->change, &err);
    if (status == BFR_OK)
        status = bfr_http_admin_prepare(reloader->parts.admin, &settings->server.tls, &attempt->context, &err);
    return status == BFR_OK || fail(attempt, err.text);
}

static struct bfr_stage *stage_at(struct bfr_reloader *reloader, const struct attempt *attempt, size_t index)
{
    return bfr_assembly_stage(reloader->set.assembly, bfr_config_stage(attempt->fresh, index)->name);
}

// All, whether their options have changed or not: files of their own may have. What a stage has read from one is not given
// back, so the stage that comes first, which has a file of who may send, takes its turn when all others have agreed.
static bool reload_stages(struct bfr_reloader *reloader, struct attempt *attempt)
{
    struct bfr_err err = {.size = sizeof err};
    bool good = true;
    attempt->first = bfr_config_stage_count(attempt->fresh);
    while (good && attempt->first > 0) {
        const size_t i = --attempt->first;
        struct bfr_stage *stage = stage_at(reloader, attempt, i);
        const struct bfr_values *values = bfr_config_change(attempt->fresh, i);
        attempt->former[i] = values == NULL ? NULL : bfr_stage_set_values(stage, values);
        good = bfr_stage_reload(stage, &err) == BFR_OK || fail(attempt, err.text);
    }
    return good;
}

// One has refused: those that agreed go back to the options they had. It has gone on with its own anyway.
static void reload_back(struct bfr_reloader *reloader, struct attempt *attempt)
{
    struct bfr_err err = {.size = sizeof err};
    for (size_t i = attempt->first; i < bfr_config_stage_count(attempt->fresh); i++) {
        struct bfr_stage *stage = stage_at(reloader, attempt, i);
        if (attempt->former[i] == NULL)
            continue;
        (void)bfr_stage_set_values(stage, attempt->former[i]);
        if (i > attempt->first && bfr_stage_reload(stage, &err) != BFR_OK)
            bfr_say(BFR_LOG_ERROR, bfr_stage_name(stage), "stage did not go back to its options; restart the daemon",
                    "error", err.text, NULL);
    }
}

// --- what cannot

static void adopt(struct bfr_reloader *reloader, struct attempt *attempt)
{
    const struct bfr_settings *settings = bfr_config_settings(attempt->fresh);
    bfr_in_force_set_payload(reloader->set.in_force, attempt->payload_bytes);
    bfr_http_server_adopt(reloader->parts.http, attempt->change);
    bfr_http_admin_adopt(reloader->parts.admin, attempt->context);
    bfr_pipeline_retune(reloader->parts.pipeline, settings);
    bfr_traffic_set_limits(reloader->parts.traffic, settings->metrics.tenant_labels, settings->metrics.dataset_labels);
    bfr_log_configure(settings->logging.level, settings->logging.format);
    bfr_in_force_replace(reloader->set.in_force, attempt->fresh, bfr_clock_wall(&bfr_clock_system),
                         &attempt->needs_restart);
    attempt->change = NULL;
    attempt->context = NULL;
    attempt->fresh = NULL;
}

static uint64_t generation_of(const struct bfr_reloader *reloader)
{
    (void)bfr_in_force_enter(reloader->set.in_force);
    uint64_t generation = bfr_in_force_report(reloader->set.in_force)->generation;
    bfr_in_force_leave(reloader->set.in_force);
    return generation;
}

static void report_success(struct bfr_reloader *reloader, const char *keys)
{
    uint64_t generation = generation_of(reloader);
    if (keys[0] != '\0')
        bfr_say(BFR_LOG_WARN, "main", "changed keys that need a restart; the daemon goes on with what it has", "keys",
                keys, NULL);
    bfr_say(BFR_LOG_INFO, "main", "configuration read again", "generation", bfr_num((int64_t)generation).text, NULL);
}

// What refused was asked with the old value of each of these, and may name something that the file no longer says.
static void name_kept_keys(struct attempt *attempt)
{
    char keys[700], text[800];
    if (attempt->needs_restart.count == 0)
        return;
    bfr_texts_join(&attempt->needs_restart, keys, sizeof keys);
    snprintf(text, sizeof text, "keys that need a restart kept their values, which may be why: %s", keys);
    (void)fail(attempt, text);
}

static void report_failure(struct bfr_reloader *reloader, struct attempt *attempt)
{
    bfr_say(BFR_LOG_ERROR, "main", "reload failed, going on as before; mend what is named and reload again", "errors",
            bfr_num((int64_t)attempt->errors.count).text, "generation", bfr_num((int64_t)generation_of(reloader)).text,
            NULL);
    bfr_in_force_keep(reloader->set.in_force, bfr_clock_wall(&bfr_clock_system), &attempt->errors);
}

static void try(struct bfr_reloader *reloader, struct attempt *attempt)
{
    bool good = read_again(reloader, attempt) && merge(reloader, attempt) && prepare(reloader, attempt);
    if (good && !reload_stages(reloader, attempt)) {
        reload_back(reloader, attempt);
        good = false;
    }
    if (!good) {
        name_kept_keys(attempt);
        report_failure(reloader, attempt);
        return;
    }
    char keys[1000];
    bfr_texts_join(&attempt->needs_restart, keys, sizeof keys);
    adopt(reloader, attempt);
    report_success(reloader, keys);
}

static void reload(struct bfr_reloader *reloader)
{
    struct attempt attempt = {.diag = NULL};
    bfr_notify_reloading(reloader->set.notify);
    try(reloader, &attempt);
    bfr_notify_ready(reloader->set.notify);
    bfr_http_server_abandon(attempt.change);
    bfr_http_admin_abandon(attempt.context);
    bfr_config_free(attempt.fresh);
    bfr_diag_free(attempt.diag);
    bfr_texts_clear(&attempt.errors);
    bfr_texts_clear(&attempt.needs_restart);
}

// --- asking

// [main]
static void on_turn(void *arg)
{
    struct bfr_reloader *reloader = arg;
    pthread_mutex_lock(&reloader->lock);
    uint64_t served = reloader->asked;
    bool wanted = reloader->open && !reloader->closed;
    reloader->posted = false;
    pthread_mutex_unlock(&reloader->lock);
    if (!wanted)
        return;
    reload(reloader);
    pthread_mutex_lock(&reloader->lock);
    reloader->done = served;
    pthread_cond_broadcast(&reloader->finished);
    pthread_mutex_unlock(&reloader->lock);
}

// With the lock held.
static void post(struct bfr_reloader *reloader)
{
    if (!reloader->open || reloader->closed || reloader->posted)
        return;
    reloader->posted = bfr_mainloop_post(reloader->set.mainloop, on_turn, reloader);
}

void bfr_reloader_ask(void *arg)
{
    struct bfr_reloader *reloader = arg;
    pthread_mutex_lock(&reloader->lock);
    reloader->asked++;
    post(reloader);
    pthread_mutex_unlock(&reloader->lock);
}

bool bfr_reloader_wait(void *arg)
{
    struct bfr_reloader *reloader = arg;
    pthread_mutex_lock(&reloader->lock);
    uint64_t ticket = ++reloader->asked;
    post(reloader);
    while (reloader->done < ticket && !reloader->closed)
        pthread_cond_wait(&reloader->finished, &reloader->lock);
    bool done = reloader->done >= ticket;
    pthread_mutex_unlock(&reloader->lock);
    return done;
}

void bfr_reloader_open(struct bfr_reloader *reloader, const struct bfr_reload_parts *parts)
{
    pthread_mutex_lock(&reloader->lock);
    reloader->parts = *parts;
    reloader->open = true;
    if (reloader->asked > 0)
        post(reloader);
    pthread_mutex_unlock(&reloader->lock);
}

void bfr_reloader_close(struct bfr_reloader *reloader)
{
    pthread_mutex_lock(&reloader->lock);
    reloader->closed = true;
    pthread_cond_broadcast(&reloader->finished);
    pthread_mutex_unlock(&reloader->lock);
}

struct bfr_reloader *bfr_reloader_new(const struct bfr_reloader_setup *setup)
{
    struct bfr_reloader *reloader = calloc(1, sizeof *reloader);
    if (reloader == NULL)
        return NULL;
    const struct bfr_config *config = bfr_in_force_enter(setup->in_force);
    bool is_file = bfr_config_is_file(config);
    if (is_file)
        reloader->path = strdup(bfr_config_path(config));
    bfr_in_force_leave(setup->in_force);
    if (is_file && reloader->path == NULL) {
        free(reloader);
        return NULL;
    }
    reloader->set = *setup;
    reloader->flags = *setup->flags;
    reloader->flags.again = true;
    pthread_mutex_init(&reloader->lock, NULL);
    pthread_cond_init(&reloader->finished, NULL);
    return reloader;
}

void bfr_reloader_free(struct bfr_reloader *reloader)
{
    if (reloader == NULL)
        return;
    pthread_cond_destroy(&reloader->finished);
    pthread_mutex_destroy(&reloader->lock);
    free(reloader->path);
    free(reloader);
}
