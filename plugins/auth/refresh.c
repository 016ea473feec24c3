// SPDX-License-Identifier: Apache-2.0
// See refresh.h. A round has two halves, each put in force by itself: who was deactivated is refused before ten thousand
// lists of datasets have been read. Trouble is logged when it begins and when it ends, once.
#include "refresh.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_json.h"
#include "directory_cache.h"
#include "lookup.h"
#include "round.h"

#define NS_PER_MS      UINT64_C(1000000)
#define FIRST_RETRY_MS 1000
#define FULL_EVERY     10 // polls: the change detector is not believed for longer
#define SWEEP_RETRY_MS 1000

struct refresher {
    struct control *control;
    struct fetcher fetcher;
    struct directory_cache cache;
    pthread_t thread;
    bool running;

    // The thread's own.
    struct control_marks marks; // before the last round that was complete
    bool have_marks;
    unsigned unchanged; // polls in a row without a round
    unsigned failures;  // rounds in a row that were not complete
    bool in_trouble;    // logged
    bool succeeded;     // logged
    bool cache_in_trouble;
    uint64_t keys_saved; // the count of changes to the accepted keys that the file knows of
    uint64_t random;

    pthread_mutex_t lock;
    char reason[256]; // "" when all is well; guarded by the lock
};

struct refresher *bfr_refresher_new(struct control *control)
{
    struct refresher *refresher = calloc(1, sizeof *refresher);

    if (refresher == NULL)
        return NULL;
    refresher->control = control;
    pthread_mutex_init(&refresher->lock, NULL);
    bfr_fetcher_init(&refresher->fetcher, control);
    bfr_directory_cache_init(&refresher->cache, control->cache_file, control->url, control->account);
    return refresher;
}

void bfr_refresher_free(struct refresher *refresher)
{
    if (refresher == NULL)
        return;
    bfr_fetcher_fini(&refresher->fetcher);
    pthread_mutex_destroy(&refresher->lock);
    free(refresher);
}

static void set_reason(struct refresher *refresher, const char *reason)
{
    pthread_mutex_lock(&refresher->lock);
    snprintf(refresher->reason, sizeof refresher->reason, "%s", reason);
    pthread_mutex_unlock(&refresher->lock);
}

// ---- putting into force ----

static void report(const struct refresher *refresher, const struct directory *directory)
{
    const struct control *control = refresher->control;
    const struct bfr_host *host = control->host;
    const struct control_metrics *metrics = &control->metrics;

    host->metric_set(host, metrics->tenants, NULL, directory->active_tenants);
    host->metric_set(host, metrics->datasets, NULL, directory->active_datasets);
    host->metric_set(host, metrics->bytes, NULL,
                     (double)(bfr_directory_bytes(directory) + bfr_lookups_bytes(control->lookups)));
}

static void enforce(struct refresher *refresher, struct directory *directory)
{
    report(refresher, directory);
    bfr_live_replace(&refresher->control->live, &directory->live);
}

static const struct directory *current(const struct refresher *refresher)
{
    // Only this thread replaces it: it stays while it is looked at.
    return (const struct directory *)atomic_load(&refresher->control->live.current);
}

// ---- the file ----

static void load_cache(struct refresher *refresher)
{
    const struct bfr_host *host = refresher->control->host;
    struct bfr_err err = {.size = sizeof err};
    struct directory *directory = NULL;
    struct lookups *lookups = refresher->control->lookups;
    struct keys keys;

    if (refresher->cache.path[0] == '\0')
        return;
    if (bfr_directory_cache_read(&refresher->cache, &directory, &keys, &err) != BFR_OK)
        bfr_log(host, BFR_LOG_WARN, "the directory on disk cannot be used", "reason", err.text, NULL);
    if (directory == NULL)
        return;
    bfr_log(host, BFR_LOG_INFO, "directory taken from disk", "tenants", bfr_num(directory->active_tenants).text,
            "datasets", bfr_num(directory->active_datasets).text, "accepted_keys", bfr_num(keys.count).text, NULL);
    bfr_lookups_restore(lookups, &keys);
    refresher->keys_saved = bfr_lookups_key_changes(lookups);
    bfr_keys_free(&keys);
    enforce(refresher, directory);
}

static void save_cache(struct refresher *refresher)
{
    struct bfr_err err = {.size = sizeof err};
    struct lookups *lookups = refresher->control->lookups;
    struct keys keys = {0};

    if (refresher->cache.path[0] == '\0')
        return;
    uint64_t changes = bfr_lookups_key_changes(lookups); // what changes from here on is kept the next time
    bfr_lookups_keys(lookups, current(refresher), &keys);
    bool ok = bfr_directory_cache_write(&refresher->cache, current(refresher), &keys, &err) == BFR_OK;
    bfr_keys_free(&keys);
    if (ok)
        refresher->keys_saved = changes;
    if (!ok && !refresher->cache_in_trouble)
        bfr_log(refresher->control->host, BFR_LOG_WARN,
                "the directory cannot be kept on disk: after a restart nothing is known until the control service "
                "answers; set cache_file to a file in a directory that the service may write to",
                "reason", err.text, NULL);
    refresher->cache_in_trouble = !ok;
}

// When no round has written the file: keys may have been accepted, or refused.
static void save_keys(struct refresher *refresher)
{
    if (current(refresher) != NULL && bfr_lookups_key_changes(refresher->control->lookups) != refresher->keys_saved)
        save_cache(refresher);
}

// ---- rounds ----

static void log_trouble(struct refresher *refresher, const struct round *round)
{
    char reason[256];
    const char *what =
        current(refresher) == NULL ? "nothing is known yet, senders get 503" : "what is known stays in force";

    snprintf(reason, sizeof reason, "the control service does not answer as it should (%.160s); %s", round->trouble,
             what);
    set_reason(refresher, reason);
    if (!refresher->in_trouble)
        bfr_log(refresher->control->host, BFR_LOG_WARN,
                "the directory is not refreshed: the control service does not "
                "answer as it should; what is known stays in force",
                "url", refresher->control->url, "reason", round->trouble, "parts_failed", bfr_num(round->failures).text,
                NULL);
    refresher->in_trouble = true;
}

static void log_success(struct refresher *refresher)
{
    const struct directory *directory = current(refresher);

    set_reason(refresher, "");
    if (!refresher->succeeded || refresher->in_trouble)
        bfr_log(refresher->control->host, BFR_LOG_INFO, "directory refreshed", "tenants",
                bfr_num(directory->active_tenants).text, "datasets", bfr_num(directory->active_datasets).text, "bytes",
                bfr_num((int64_t)bfr_directory_bytes(directory)).text, NULL);
    refresher->in_trouble = false;
    refresher->succeeded = true;
}

// A round that the stop has cut short is neither complete nor failed.
static void conclude(struct refresher *refresher, const struct round *round)
{
    const struct bfr_host *host = refresher->control->host;
    if (bfr_fetcher_stopping(&refresher->fetcher))
        return;
    bool complete = round->failures == 0;

    host->metric_add(host, refresher->control->metrics.refreshes,
                     (const char *const[]){complete ? "complete" : "failed"}, 1);
    if (complete) {
        host->metric_set(host, refresher->control->metrics.age, NULL, (double)host->wall_ns(host) / 1e9);
        refresher->failures = 0;
        log_success(refresher);
    } else {
        refresher->failures++;
        log_trouble(refresher, round);
    }
}

static void run_round(struct refresher *refresher, bool datasets_changed)
{
    struct control *control = refresher->control;
    struct round round = {.fetcher = &refresher->fetcher,
                          .control = control,
                          .old = current(refresher),
                          .asked_ns = control->host->monotonic_ns(control->host),
                          .datasets_changed = datasets_changed};

    if (bfr_round_tenants(&round) && !bfr_fetcher_stopping(&refresher->fetcher)) {
        enforce(refresher, round.new);
        atomic_store(&control->answered, true);
        bfr_lookups_supersede(control->lookups, FACT_TENANT, round.asked_ns);
        round.old = current(refresher);
        round.asked_ns = control->host->monotonic_ns(control->host);
        if (bfr_round_datasets(&round)) {
            enforce(refresher, round.new);
            bfr_lookups_supersede(control->lookups, FACT_DATASET, round.asked_ns);
        }
        save_cache(refresher);
    } else {
        bfr_directory_free(round.new);
        save_keys(refresher);
    }
    conclude(refresher, &round);
}

// ---- the change detector ----

struct detection {
    const struct control *control;
    bool readable;
    struct control_marks marks;
};

static bool changes_path(void *arg, uint32_t number, char *out)
{
    const struct detection *detection = arg;
    const char *account = detection->control->account;
    (void)number;

    snprintf(out, CONTROL_PATH_MAX, "/api/v1/changes%s%s", account[0] != '\0' ? "?account_id=" : "", account);
    return true;
}

static void take_changes(void *arg, const struct fetch *fetch)
{
    struct detection *detection = arg;

    detection->readable =
        fetch->answer == CONTROL_OK && bfr_control_read_changes(fetch->body, fetch->body_bytes, &detection->marks);
}

// A detector that is missing or does not answer detects nothing: then everything is asked for.
static void poll(struct refresher *refresher)
{
    struct detection detection = {.control = refresher->control};

    bfr_fetcher_sweep(&refresher->fetcher, &(struct fetch_sweep){1, changes_path, take_changes, &detection});
    bool comparable =
        detection.readable && refresher->have_marks && refresher->failures == 0 && refresher->unchanged < FULL_EVERY;
    bool same_tenants = comparable && detection.marks.tenants == refresher->marks.tenants;
    bool same_datasets = comparable && detection.marks.datasets == refresher->marks.datasets;
    if (same_tenants && same_datasets) {
        refresher->unchanged++;
        save_keys(refresher);
        return;
    }
    if (bfr_fetcher_stopping(&refresher->fetcher))
        return;
    run_round(refresher, !same_datasets);
    if (!same_datasets)
        refresher->unchanged = 0;
    refresher->marks = detection.marks;
    refresher->have_marks = detection.readable && refresher->failures == 0;
}

// ---- the thread ----

// Between three and five quarters, so that receivers that were started together drift apart.
static uint64_t jitter(struct refresher *refresher, uint64_t ns)
{
    refresher->random = refresher->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ns / 4 * 3 + ns / 2 / 1024 * (refresher->random >> 54);
}

static uint64_t next_wait(struct refresher *refresher)
{
    uint64_t wait_ms = refresher->control->refresh_ms;
    unsigned shift = refresher->failures < 16 ? refresher->failures : 16;

    if (refresher->failures > 0 && ((uint64_t)FIRST_RETRY_MS << (shift - 1)) < wait_ms)
        wait_ms = (uint64_t)FIRST_RETRY_MS << (shift - 1);
    return jitter(refresher, wait_ms * NS_PER_MS);
}

static void *run(void *arg)
{
    struct refresher *refresher = arg;
    struct fetcher *fetcher = &refresher->fetcher;

    do {
        poll(refresher);
        atomic_store(&refresher->control->asked, true);
        uint64_t wait_ns = next_wait(refresher);
        while (!bfr_live_sweep(&refresher->control->live) && wait_ns > SWEEP_RETRY_MS * NS_PER_MS &&
               bfr_fetcher_sleep(fetcher, SWEEP_RETRY_MS * NS_PER_MS))
            wait_ns -= SWEEP_RETRY_MS * NS_PER_MS;
        if (!bfr_fetcher_sleep(fetcher, wait_ns))
            break;
    } while (!bfr_fetcher_stopping(fetcher));
    save_keys(refresher);
    return NULL;
}

uint32_t bfr_refresher_start(struct refresher *refresher, struct bfr_err *err)
{
    sigset_t all;
    sigset_t before;
    const struct bfr_host *host = refresher->control->host;

    load_cache(refresher);
    set_reason(refresher, "the control service has not answered yet");
    refresher->random = host->monotonic_ns(host) ^ (uint64_t)host->wall_ns(host) << 17;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&refresher->thread, NULL, run, refresher);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot start a thread: %s; raise the limit on threads (TasksMax=)",
                           strerror(failed));
    pthread_setname_np(refresher->thread, "auth-refresh");
    refresher->running = true;
    return BFR_OK;
}

void bfr_refresher_tell_stop(struct refresher *refresher)
{
    bfr_fetcher_stop(&refresher->fetcher);
}

void bfr_refresher_join(struct refresher *refresher)
{
    if (refresher->running)
        pthread_join(refresher->thread, NULL);
    refresher->running = false;
}

void bfr_refresher_health(struct refresher *refresher, struct bfr_health *out)
{
    pthread_mutex_lock(&refresher->lock);
    if (refresher->reason[0] != '\0') {
        out->state = BFR_HEALTH_DEGRADED;
        snprintf(out->reason, sizeof out->reason, "%s", refresher->reason);
    }
    pthread_mutex_unlock(&refresher->lock);
}
