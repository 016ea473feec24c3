// SPDX-License-Identifier: Apache-2.0
// Settlement marks on their way to the disk: gathered per segment in RAM as consumers confirm, written and synced here, at
// most half a second after the first. A mark that cannot be written stays in RAM and is tried again with the next ones:
// until then a restart would offer its batch again. Commit thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_recent.h"

// Take the marks of the next segment that has some, and pin it. NULL: there is none. The mutex is held.
static struct disk_segment *next_dirty(struct disk_queue *queue, uint64_t after_id, uint8_t **out_marks,
                                       size_t *out_used, size_t *out_room)
{
    for (struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (segment->file.id <= after_id || segment->marks_used == 0 || !segment->resident)
            continue;
        *out_marks = segment->marks;
        *out_used = segment->marks_used;
        *out_room = segment->marks_room;
        segment->marks = NULL;
        segment->marks_used = segment->marks_room = 0;
        segment->pins++;
        return segment;
    }
    return NULL;
}

// Not written: back in front of what has been added meanwhile, or, without memory for that, lost. The mutex is held.
static void put_back(struct disk_segment *segment, uint8_t *marks, size_t used, size_t room)
{
    if (segment->marks_used > 0) {
        uint8_t *joined = realloc(marks, used + segment->marks_used);
        if (joined == NULL) {
            segment->marks_lost = true;
            free(marks);
            return;
        }
        memcpy(joined + used, segment->marks, segment->marks_used);
        marks = joined;
        used += segment->marks_used;
        room = used;
    }
    free(segment->marks);
    segment->marks = marks;
    segment->marks_used = used;
    segment->marks_room = room;
}

void bfr_disk_sync_marks(struct disk_queue *queue)
{
    uint64_t last_id = 0;
    uint8_t *marks = NULL;
    size_t used = 0, room = 0;
    struct disk_segment *segment;
    int error = 0;

    bfr_disk_recent_sync(queue);
    pthread_mutex_lock(&queue->mutex);
    queue->marks_wanted = false;
    uint64_t pass = ++queue->marks_begun;
    queue->marks_since_ns = 0;
    while ((segment = next_dirty(queue, last_id, &marks, &used, &room)) != NULL) {
        last_id = segment->file.id;
        pthread_mutex_unlock(&queue->mutex);
        bool good = bfr_marks_append(&segment->file, marks, used);
        if (!good)
            error = errno;
        pthread_mutex_lock(&queue->mutex);
        if (good)
            free(marks);
        else
            put_back(segment, marks, used, room);
        segment->pins--;
        if (segment->pins == 0 && segment->sealed)
            bfr_disk_poke_keeper(queue);
    }
    if (error != 0 && queue->marks_since_ns == 0)
        queue->marks_since_ns = queue->host->monotonic_ns(queue->host);
    queue->marks_ended = pass;
    queue->marks_failed = error != 0;
    pthread_cond_broadcast(&queue->commit_done);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_marks_trouble(queue, error);
}

bool bfr_disk_marks_flush(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    // A round that is under way may be past the segment; the next one is not.
    uint64_t round = queue->marks_begun + 1;
    queue->marks_wanted = true;
    bfr_disk_poke_commit(queue);
    while (queue->marks_ended < round && queue->commit_runs && !queue->commit_stop)
        pthread_cond_wait(&queue->commit_done, &queue->mutex);
    bool good = queue->marks_ended >= round && !queue->marks_failed;
    pthread_mutex_unlock(&queue->mutex);
    return good;
}

void bfr_disk_marks_trouble(struct disk_queue *queue, int error)
{
    pthread_mutex_lock(&queue->mutex);
    bool news = (queue->marks_error == 0) != (error == 0);
    queue->marks_error = error;
    pthread_mutex_unlock(&queue->mutex);
    if (news && error != 0)
        bfr_log(queue->host, BFR_LOG_WARN,
                "settlement marks cannot be written; a restart now would send stored batches again", "directory",
                queue->options.directory, "reason", strerror(error), NULL);
    else if (news)
        bfr_log(queue->host, BFR_LOG_INFO, "settlement marks are written again", "directory", queue->options.directory,
                NULL);
}
