// SPDX-License-Identifier: Apache-2.0
// The life of the disk queue from its making to its end. Main thread; the only place that starts and joins its threads. After
// stop nothing of it calls the host.
#include "disk_life.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

#include "adopt.h"
#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_keeper.h"
#include "disk_recent.h"
#include "disk_recover.h"
#include "disk_seen.h"

#define WAIT_MOST_NS (60 * DISK_NS_PER_S)

void bfr_disk_wait(struct disk_queue *queue, pthread_cond_t *condition, uint64_t due_ns)
{
    struct timespec until;
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    uint64_t left_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    left_ns = left_ns < WAIT_MOST_NS ? left_ns : WAIT_MOST_NS; // whoever waits looks again
    clock_gettime(CLOCK_MONOTONIC, &until);
    left_ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(left_ns / DISK_NS_PER_S);
    until.tv_nsec = (long)(left_ns % DISK_NS_PER_S);
    pthread_cond_timedwait(condition, &queue->mutex, &until);
}

uint32_t bfr_disk_thread(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg, struct bfr_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot start the thread %s: %s; raise the limit of threads", name,
                           strerror(error));
    pthread_setname_np(*out, name);
    return BFR_OK;
}

static void init_locks(struct disk_queue *queue)
{
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->work, NULL);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->commit_wanted, &clock);
    pthread_cond_init(&queue->commit_done, &clock);
    pthread_cond_init(&queue->keeper_wanted, &clock);
    pthread_condattr_destroy(&clock);
}

uint32_t bfr_disk_new(const struct bfr_host *host, const struct disk_options *options, struct disk_queue **out,
                      struct bfr_err *err)
{
    struct disk_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory while making the queue");
    queue->host = host;
    queue->options = *options;
    queue->dir = bfr_disk_dir_closed;
    bfr_recent_init(&queue->recent);
    queue->pending_last = &queue->pending_first;
    init_locks(queue);
    list_init(&queue->segments);
    list_init(&queue->copies);
    list_init(&queue->unfiled);
    bfr_disk_figures_register(queue);
    *out = queue;
    return BFR_OK;
}

uint32_t bfr_disk_consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err)
{
    struct disk_queue *queue = self;

    if (count == 0 || count > DISK_CONSUMERS_MAX)
        return bfr_err_set(err, BFR_EINVAL, "%u consumers; a disk queue serves 1 to %u", count, DISK_CONSUMERS_MAX);
    if (queue->consumers != NULL)
        return bfr_err_set(err, BFR_EINVAL, "the consumers have been told before; they are told once");
    queue->consumers = calloc(count, sizeof *queue->consumers);
    queue->backlogs = calloc((size_t)count * LANE_COUNT, sizeof *queue->backlogs);
    queue->served_bytes = calloc((size_t)count * LANE_COUNT, sizeof *queue->served_bytes);
    bool good = queue->consumers != NULL && queue->backlogs != NULL && queue->served_bytes != NULL;
    for (uint32_t i = 0; i < count * LANE_COUNT && good; i++)
        bfr_backlog_init(&queue->backlogs[i]);
    for (uint32_t i = 0; i < count && good; i++) {
        queue->consumers[i] = strdup(names[i]);
        good = queue->consumers[i] != NULL;
        queue->consumer_count += good ? 1 : 0;
    }
    bfr_tenants_init(&queue->tenants, count * LANE_COUNT);
    queue->own_set = good ? bfr_disk_set(queue, names, count) : NULL;
    return queue->own_set != NULL ? BFR_OK : bfr_err_set(err, BFR_ENOMEM, "out of memory for %u consumers", count);
}

// --- start and stop

static void warn_of_file_system(struct disk_queue *queue)
{
    uint64_t total = 0;
    const char *doubtful = bfr_disk_dir_doubtful(&queue->dir);
    if (doubtful != NULL)
        bfr_log(queue->host, BFR_LOG_WARN,
                "the spool is on a file system that may forget what was synced; put it on a local disk", "directory",
                queue->options.directory, "file_system", doubtful, NULL);
    queue->punch_unsupported = !bfr_disk_dir_has_holes(&queue->dir);
    queue->free_bytes = bfr_disk_dir_free(&queue->dir, &total);
    // The option's bound, unless the file system is so small that a twentieth of it is less.
    if (total > 0 && queue->options.min_free_bytes > total / 20)
        queue->options.min_free_bytes = total / 20;
}

uint32_t bfr_disk_start(struct disk_queue *queue, struct bfr_err *err)
{
    if (queue->consumer_count == 0)
        return bfr_err_set(err, BFR_EINVAL, "nothing takes batches from this queue; put a sink or a queue after it");
    uint32_t status = bfr_disk_dir_open(&queue->dir, queue->options.directory, true, err);
    if (status == DISK_DIR_IN_USE)
        status = BFR_EFAIL;
    if (status != BFR_OK)
        return status;
    warn_of_file_system(queue);
    bfr_disk_recent_open(queue);
    status = bfr_disk_recover(queue, err);
    if (status == BFR_OK)
        bfr_adopt_open(queue);
    if (status == BFR_OK)
        status = bfr_disk_commit_start(queue, err);
    if (status == BFR_OK)
        status = bfr_disk_keeper_start(queue, err);
    if (status != BFR_OK)
        bfr_disk_stop(queue);
    return status;
}

void bfr_disk_stop(struct disk_queue *queue)
{
    // The keeper may have a record written and wait for it: it goes first.
    bfr_disk_keeper_stop(queue);
    bfr_adopt_close(queue);
    bfr_disk_commit_stop(queue);
    if (queue->dir.root < 0)
        return;
    bfr_disk_seal(queue);
    bfr_disk_sync_marks(queue); // what was settled since the thread's last turn
    bfr_disk_keeper_finish(queue);
}

// --- the end

static void free_segments(struct disk_queue *queue)
{
    struct disk_entry *chain = NULL;
    while (!list_empty(&queue->segments)) {
        struct disk_segment *segment = LIST_OWNER(queue->segments.next, struct disk_segment, link);
        while (!list_empty(&segment->entries))
            bfr_disk_entry_unload(queue, LIST_OWNER(segment->entries.next, struct disk_entry, link), &chain);
        list_remove(&segment->link);
        bfr_disk_segment_free(segment);
    }
    bfr_disk_entries_free(queue, chain);
}

static void free_sets(struct disk_queue *queue)
{
    while (queue->sets != NULL) {
        struct disk_set *next = queue->sets->next;
        for (uint32_t i = 0; i < queue->sets->count; i++)
            free(queue->sets->names[i]);
        free(queue->sets);
        queue->sets = next;
    }
}

// Tenants that still use a share of their own.
static void free_tenants(struct disk_queue *queue)
{
    for (size_t i = 0; i < queue->tenants.bucket_count; i++) {
        while (queue->tenants.buckets[i] != NULL)
            bfr_tenants_drop(&queue->tenants, queue->tenants.buckets[i]);
    }
    bfr_tenants_free(&queue->tenants);
}

void bfr_disk_free(struct disk_queue *queue)
{
    free_segments(queue);
    free_tenants(queue);
    free_sets(queue);
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        free(queue->consumers[i]);
    for (uint32_t i = 0; i < queue->consumer_count * LANE_COUNT; i++)
        bfr_backlog_free(&queue->backlogs[i]);
    free(queue->consumers);
    free(queue->backlogs);
    free(queue->served_bytes);
    free(queue->filed);
    free(queue->moved);
    bfr_disk_seen_free(queue->seen);
    bfr_recent_close(&queue->recent);
    bfr_disk_dir_close(&queue->dir);
    pthread_cond_destroy(&queue->keeper_wanted);
    pthread_cond_destroy(&queue->commit_done);
    pthread_cond_destroy(&queue->commit_wanted);
    pthread_mutex_destroy(&queue->mutex);
    pthread_mutex_destroy(&queue->work);
    free(queue);
}
