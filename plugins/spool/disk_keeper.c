// SPDX-License-Identifier: Apache-2.0
// The keeper of the disk queue. Each turn does one thing of each kind: count and load segments, the oldest first; index what
// was sealed; file letters; give space back; unload what is too much for RAM. It sleeps when a turn found nothing to do,
// until it is poked or a second has passed. Nothing that a sender or a sink waits for is done here, but room.
#include "disk_keeper.h"

#include <bfr/text.h>

#include "adopt.h"
#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_letters.h"
#include "disk_load.h"
#include "disk_move.h"
#include "disk_reclaim.h"
#include "disk_seen.h"

// Loading goes on below the lower figures, unloading begins above the upper ones; in between all stays.
#define ENTRIES_LOW   32768
#define ENTRIES_HIGH  98304
#define SEGMENTS_LOW  96
#define SEGMENTS_HIGH 128
#define TURN_NS       DISK_NS_PER_S

static bool has_ram(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool room = queue->entry_count < ENTRIES_LOW && queue->resident_segments < SEGMENTS_LOW;
    pthread_mutex_unlock(&queue->mutex);
    return room;
}

static bool has_too_much(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    bool much = queue->entry_count > ENTRIES_HIGH || queue->resident_segments > SEGMENTS_HIGH;
    pthread_mutex_unlock(&queue->mutex);
    return much;
}

typedef bool (*want_fn)(const struct disk_segment *segment);

static bool wants_count(const struct disk_segment *segment)
{
    return !segment->counted;
}

static bool wants_load(const struct disk_segment *segment)
{
    return segment->counted && segment->sealed && !segment->resident && segment->live > segment->parked;
}

static bool wants_index(const struct disk_segment *segment)
{
    return segment->sealed && segment->resident && !segment->indexed && segment->live > 0;
}

// The oldest segment that `want` says yes to; *out_some: there is one, if only later.
static struct disk_segment *find_segment(struct disk_queue *queue, want_fn want, bool *out_some)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    struct disk_segment *found = NULL;
    *out_some = false;
    pthread_mutex_lock(&queue->mutex);
    for (struct list *node = queue->segments.next; node != &queue->segments && found == NULL; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (!want(segment))
            continue;
        *out_some = true;
        if (now_ns >= segment->retry_at_ns)
            found = segment;
    }
    pthread_mutex_unlock(&queue->mutex);
    return found;
}

static void end_recovery(struct disk_queue *queue)
{
    bfr_disk_seen_free(queue->seen);
    queue->seen = NULL;
    bfr_disk_move_recovered(queue);
    pthread_mutex_lock(&queue->mutex);
    queue->recovered = true;
    uint64_t held = queue->held_batches, buried = queue->buried_batches;
    pthread_mutex_unlock(&queue->mutex);
    bfr_log(queue->host, BFR_LOG_INFO, "the spool is counted", "held", bfr_num((int64_t)held).text, "buried",
            bfr_num((int64_t)buried).text, NULL);
}

static bool count_one(struct disk_queue *queue)
{
    bool some;
    if (queue->recovered)
        return false;
    struct disk_segment *segment = find_segment(queue, wants_count, &some);
    if (segment != NULL)
        (void)bfr_disk_segment_load(queue, segment, has_ram(queue));
    else if (!some)
        end_recovery(queue);
    return segment != NULL;
}

static bool load_one(struct disk_queue *queue)
{
    bool some;
    struct disk_segment *segment = has_ram(queue) ? find_segment(queue, wants_load, &some) : NULL;
    return segment != NULL && bfr_disk_segment_load(queue, segment, true);
}

static bool index_one(struct disk_queue *queue)
{
    bool some;
    struct disk_segment *segment = find_segment(queue, wants_index, &some);
    return segment != NULL && bfr_disk_segment_index(queue, segment);
}

// The newest first: what is older is wanted sooner.
static bool unload_one(struct disk_queue *queue)
{
    if (!has_too_much(queue))
        return false;
    pthread_mutex_lock(&queue->mutex);
    struct list *node = queue->segments.prev;
    pthread_mutex_unlock(&queue->mutex);
    // The list changes only at its end beside this thread, and nobody else removes from it.
    while (node != &queue->segments) {
        if (bfr_disk_segment_unload(queue, LIST_OWNER(node, struct disk_segment, link)))
            return true;
        pthread_mutex_lock(&queue->mutex);
        node = node->prev;
        pthread_mutex_unlock(&queue->mutex);
    }
    return false;
}

// What is due once a second.
static void look_around(struct disk_queue *queue, uint64_t *next_ns)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host), total;
    if (now_ns < *next_ns)
        return;
    *next_ns = now_ns + TURN_NS;
    uint64_t free_bytes = bfr_disk_dir_free(&queue->dir, &total), fixed_bytes = bfr_disk_dir_bytes(&queue->dir);
    pthread_mutex_lock(&queue->mutex);
    queue->fixed_bytes = fixed_bytes;
    bool wake = free_bytes > queue->free_bytes && queue->refused;
    queue->free_bytes = free_bytes;
    queue->refused &= !wake;
    pthread_mutex_unlock(&queue->mutex);
    if (wake)
        queue->host->ready(queue->host);
    bfr_disk_letters_expire(queue);
    bfr_disk_figures_update(queue);
}

// True when there may be more to do at once.
static bool turn(struct disk_queue *queue, uint64_t *next_ns)
{
    pthread_mutex_lock(&queue->work);
    bool more = count_one(queue);
    more |= bfr_disk_remove_one(queue);
    more |= bfr_disk_spare_drop(queue);
    more |= index_one(queue);
    more |= bfr_disk_letters_file_one(queue);
    more |= bfr_disk_punch_one(queue);
    more |= bfr_disk_move_one(queue);
    more |= load_one(queue);
    more |= unload_one(queue);
    look_around(queue, next_ns);
    pthread_mutex_unlock(&queue->work);
    return more;
}

static void *keeper_main(void *arg)
{
    struct disk_queue *queue = arg;
    uint64_t next_ns = 0;

    bfr_disk_letters_count(queue);
    pthread_mutex_lock(&queue->mutex);
    while (!queue->keeper_stop) {
        queue->keeper_poke = false;
        pthread_mutex_unlock(&queue->mutex);
        bool more = turn(queue, &next_ns);
        more |= bfr_adopt_step(queue);
        pthread_mutex_lock(&queue->mutex);
        queue->keeper_turns++;
        pthread_cond_broadcast(&queue->commit_done);
        if (!more && !queue->keeper_poke && !queue->keeper_stop)
            bfr_disk_wait(queue, &queue->keeper_wanted, queue->host->monotonic_ns(queue->host) + TURN_NS);
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

uint32_t bfr_disk_keeper_start(struct disk_queue *queue, struct bfr_err *err)
{
    queue->keeper_stop = false;
    uint32_t status = bfr_disk_thread(&queue->keeper_thread, "disk-keeper", keeper_main, queue, err);
    queue->keeper_runs = status == BFR_OK;
    return status;
}

void bfr_disk_keeper_pass(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    uint64_t turns = queue->keeper_turns;
    queue->keeper_poke = true;
    pthread_cond_signal(&queue->keeper_wanted);
    while (queue->keeper_runs && !queue->keeper_stop && queue->keeper_turns == turns)
        bfr_disk_wait(queue, &queue->commit_done, UINT64_MAX);
    pthread_mutex_unlock(&queue->mutex);
}

void bfr_disk_keeper_stop(struct disk_queue *queue)
{
    if (!queue->keeper_runs)
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->keeper_stop = true;
    pthread_cond_signal(&queue->keeper_wanted);
    pthread_mutex_unlock(&queue->mutex);
    pthread_join(queue->keeper_thread, NULL);
    queue->keeper_runs = false;
}

void bfr_disk_keeper_finish(struct disk_queue *queue)
{
    bool some;
    struct disk_segment *segment;
    while (bfr_disk_remove_one(queue))
        ;
    while ((segment = find_segment(queue, wants_index, &some)) != NULL)
        if (!bfr_disk_segment_index(queue, segment))
            break;
}
