// SPDX-License-Identifier: Apache-2.0
// See disk_figures.h. Health says the worst first: what keeps batches from being taken, then what a person should know.
#include "disk_figures.h"

#include <stdio.h>
#include <string.h>

#include <bfr/text.h>

#include "disk_queue.h"
#include "disk_room.h"

#define FULL_NEVER      (-1.0)
#define GROWTH_MEMORY_S 60.0 // over which growth is smoothed
#define LETTERS_ALARM   0.8  // of their share

void bfr_disk_figures_register(struct disk_queue *queue)
{
    const struct bfr_host *host = queue->host;
    struct disk_figures *figures = &queue->figures;
    const struct {
        struct bfr_metric **metric;
        uint32_t type;
        const char *name;
        const char *help;
    } all[] = {
        {&figures->commits_total, BFR_METRIC_COUNTER, "commits_total", "Groups of batches written and synced."},
        {&figures->commit_batches, BFR_METRIC_HISTOGRAM, "commit_batches", "Batches per group."},
        {&figures->unsettled_age, BFR_METRIC_GAUGE, "unsettled_age_seconds",
         "Age of the oldest settlement that a crash would undo."},
        {&figures->spool_bytes, BFR_METRIC_GAUGE, "spool_bytes", "Bytes in use under the spool's directory."},
        {&figures->spool_limit, BFR_METRIC_GAUGE, "spool_limit_bytes", "max_size_bytes."},
        {&figures->spool_free, BFR_METRIC_GAUGE, "spool_free_bytes", "Free bytes of the spool's file system."},
        {&figures->spool_full, BFR_METRIC_GAUGE, "spool_full_seconds",
         "Time until the spool is full at the present rate; -1: it is not filling."},
        {&figures->letters_bytes, BFR_METRIC_GAUGE, "spool_letters_bytes", "Bytes of the spool that dead letters use."},
        {&figures->letters_limit, BFR_METRIC_GAUGE, "spool_letters_limit_bytes",
         "Bytes of the spool that dead letters may use: dlq_max_share of max_size_bytes."},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i].metric = host->metric_register(host, all[i].type, all[i].name, all[i].help, NULL);
}

static void set(const struct disk_queue *queue, struct bfr_metric *metric, double value)
{
    if (metric != NULL)
        queue->host->metric_set(queue->host, metric, NULL, value);
}

void bfr_disk_figures_commit(struct disk_queue *queue, size_t batches)
{
    const struct disk_figures *figures = &queue->figures;
    if (figures->commits_total != NULL)
        queue->host->metric_add(queue->host, figures->commits_total, NULL, 1);
    if (figures->commit_batches != NULL)
        queue->host->metric_observe(queue->host, figures->commit_batches, NULL, (double)batches);
}

// So much that a person should act, while further letters still get files of their own.
static bool letters_crowd(const struct disk_queue *queue, uint64_t letters_bytes)
{
    return (double)letters_bytes > LETTERS_ALARM * bfr_disk_letters_share(queue);
}

static void watch_letters(struct disk_queue *queue, uint64_t letters_bytes)
{
    bool crowd = letters_crowd(queue, letters_bytes), news = crowd != queue->figures.letters_crowd;
    const struct bfr_number bytes = bfr_num((int64_t)letters_bytes);
    const struct bfr_number limit = bfr_num((int64_t)bfr_disk_letters_share(queue));
    queue->figures.letters_crowd = crowd;
    if (news && crowd)
        bfr_log(queue->host, BFR_LOG_WARN,
                "dead letters have nearly filled their share of the spool; retry or purge some, or raise dlq_max_share",
                "directory", queue->options.directory, "bytes", bytes.text, "limit", limit.text, NULL);
    else if (news)
        bfr_log(queue->host, BFR_LOG_INFO, "dead letters have room in their share of the spool again", "directory",
                queue->options.directory, "bytes", bytes.text, "limit", limit.text, NULL);
}

static double age(uint64_t since_ns, uint64_t now_ns)
{
    return since_ns == 0 || since_ns > now_ns ? 0 : (double)(now_ns - since_ns) / (double)DISK_NS_PER_S;
}

// How long until `room` is used up, from what came in since the last look.
static double forecast(struct disk_figures *figures, uint64_t used, uint64_t room, uint64_t now_ns)
{
    double seconds = age(figures->last_ns, now_ns);
    if (figures->last_ns != 0 && seconds > 0) {
        double rate = ((double)used - (double)figures->last_used) / seconds;
        double weight = seconds < GROWTH_MEMORY_S ? seconds / GROWTH_MEMORY_S : 1.0;
        figures->growth += (rate - figures->growth) * weight;
    }
    figures->last_used = used;
    figures->last_ns = now_ns;
    return figures->growth < 1.0 ? FULL_NEVER : (double)room / figures->growth;
}

// A queue that is full now says 1: 0 would be that it does not know.
static uint64_t as_stats(double full_s)
{
    if (full_s < 0 || full_s >= (double)UINT32_MAX)
        return UINT64_MAX;
    return full_s < 1 ? 1 : (uint64_t)full_s;
}

void bfr_disk_figures_update(struct disk_queue *queue)
{
    struct disk_figures *figures = &queue->figures;
    struct bfr_queue_stats stats = {.size = sizeof stats};
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);

    bfr_disk_stats(queue, &stats);
    pthread_mutex_lock(&queue->mutex);
    uint64_t free_bytes = queue->free_bytes, marks_ns = queue->marks_since_ns;
    uint64_t letters_bytes = queue->letters_bytes;
    pthread_mutex_unlock(&queue->mutex);

    uint64_t room = stats.limit_bytes > stats.used_bytes ? stats.limit_bytes - stats.used_bytes : 0;
    room = free_bytes < room ? free_bytes : room;
    set(queue, figures->unsettled_age, age(marks_ns, now_ns));
    set(queue, figures->spool_bytes, (double)stats.used_bytes);
    set(queue, figures->spool_limit, (double)stats.limit_bytes);
    set(queue, figures->spool_free, (double)free_bytes);
    set(queue, figures->letters_bytes, (double)letters_bytes);
    set(queue, figures->letters_limit, bfr_disk_letters_share(queue));
    watch_letters(queue, letters_bytes);
    double full_s = forecast(figures, stats.used_bytes, room, now_ns);
    set(queue, figures->spool_full, full_s);
    pthread_mutex_lock(&queue->mutex);
    figures->full_seconds = as_stats(full_s);
    pthread_mutex_unlock(&queue->mutex);
}

static void say(struct bfr_health *out, uint32_t state, const char *reason)
{
    if (out->reason[0] != '\0' && state <= out->state)
        return;
    out->state = state;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

void bfr_disk_health(void *self, struct bfr_health *out)
{
    struct disk_queue *queue = self;
    char text[128];

    out->state = BFR_HEALTH_OK;
    out->reason[0] = '\0';
    pthread_mutex_lock(&queue->mutex);
    if (queue->failing)
        say(out, BFR_HEALTH_FAILED, queue->failure);
    if (queue->missing_consumer[0] != '\0') {
        snprintf(text, sizeof text, "sink_missing %s: batches wait for a sink that is not configured",
                 queue->missing_consumer);
        say(out, BFR_HEALTH_DEGRADED, text);
    }
    if (queue->marks_error != 0)
        say(out, BFR_HEALTH_DEGRADED, "settlement marks cannot be written; a restart would send stored batches again");
    if (queue->letters_wait)
        say(out, BFR_HEALTH_DEGRADED, "dead letters have no room for files of their own; retry or purge some");
    if (letters_crowd(queue, queue->letters_bytes))
        say(out, BFR_HEALTH_DEGRADED, "dead letters have nearly filled their share of the spool; retry or purge some");
    if (queue->trouble_text[0] != '\0')
        say(out, BFR_HEALTH_DEGRADED, queue->trouble_text);
    if (queue->recent_error != 0)
        say(out, BFR_HEALTH_DEGRADED,
            "recent.log cannot be kept; batches sent twice around a restart may be stored twice");
    pthread_mutex_unlock(&queue->mutex);
}
