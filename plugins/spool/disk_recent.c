// SPDX-License-Identifier: Apache-2.0
// See disk_recent.h. Failing here never fails a batch; health says that repeated deliveries may be stored again.
#include "disk_recent.h"

#include <errno.h>
#include <string.h>

#include <bfr/text.h>

#include "recent_log.h"

#define RECENT_SHARE     16 // at most this part of the spool
#define RECENT_BYTES_MIN (UINT64_C(64) << 10)

// What it takes, for the books of room.
static void count_bytes(struct disk_queue *queue)
{
    uint64_t bytes = bfr_recent_bytes(&queue->recent);
    pthread_mutex_lock(&queue->mutex);
    queue->recent_bytes = bytes;
    pthread_mutex_unlock(&queue->mutex);
}

void bfr_disk_recent_open(struct disk_queue *queue)
{
    // Two files of half the share each.
    uint64_t most = queue->options.max_size_bytes / RECENT_SHARE / 2;
    bfr_recent_limit(&queue->recent, queue->options.recent_max_entries,
                     most > RECENT_BYTES_MIN ? most : RECENT_BYTES_MIN);
    if (!bfr_recent_open(&queue->recent, queue->dir.root) || !bfr_recent_read(&queue->recent, NULL, NULL))
        bfr_disk_recent_trouble(queue, errno);
    count_bytes(queue);
}

void bfr_disk_recent_add(struct disk_queue *queue, const uint8_t *bytes, size_t size, size_t entries)
{
    if (!bfr_recent_append(&queue->recent, bytes, size, entries))
        bfr_disk_recent_trouble(queue, errno);
    count_bytes(queue);
}

void bfr_disk_recent_sync(struct disk_queue *queue)
{
    if (!bfr_recent_sync(&queue->recent))
        bfr_disk_recent_trouble(queue, errno);
}

void bfr_disk_recent_found(struct disk_queue *queue, const struct bfr_batch *batch)
{
    uint8_t entry[RECENT_ENTRY_MAX];
    size_t size = bfr_recent_encode(batch, entry);
    if (size > 0)
        bfr_disk_recent_add(queue, entry, size, 1);
}

struct visit {
    void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried);
    void *arg;
    int64_t since_ns;
};

// Held batches are told of by host->account, in sums; here it is keys that count.
static void pass(void *arg, const struct bfr_recent *recent)
{
    const struct visit *visit = arg;
    if (recent->received_ns >= visit->since_ns)
        visit->visit(visit->arg, recent, false, false);
}

void bfr_disk_recent(void *self, void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried),
                     void *arg)
{
    struct disk_queue *queue = self;
    struct visit pair = {visit, arg, 0};
    pair.since_ns = queue->host->wall_ns(queue->host) - (int64_t)(queue->options.recent_window_ms * DISK_NS_PER_MS);
    if (!bfr_recent_read(&queue->recent, pass, &pair))
        bfr_disk_recent_trouble(queue, errno);
}

void bfr_disk_recent_trouble(struct disk_queue *queue, int error)
{
    pthread_mutex_lock(&queue->mutex);
    bool news = queue->recent_error == 0;
    queue->recent_error = error;
    pthread_mutex_unlock(&queue->mutex);
    if (news)
        bfr_log(queue->host, BFR_LOG_WARN,
                "recent.log cannot be kept; batches sent twice around a restart may be stored twice", "directory",
                queue->options.directory, "reason", strerror(error), NULL);
}
