// SPDX-License-Identifier: Apache-2.0
// From one segment to the next: a spare one if there is one, else a new file, within the limit. And what is said when the
// disk does not take something. Commit thread.
#include "disk_commit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_entry.h"
#include "disk_recent.h"
#include "disk_room.h"

#define RETRY_AFTER_NS   (250 * DISK_NS_PER_MS)
#define FILE_ALIGN       4096u
#define CHECKPOINT_AHEAD 256

static const char *remedy_for(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "free space on this file system, or lower max_size_bytes";
    case EROFS:
    case EACCES:
    case EPERM:
        return "make the directory writable for the service user again";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files";
    case ENOMEM:
        return "give the service more memory";
    default:
        return "check the disk and its kernel log";
    }
}

void bfr_disk_fail(struct disk_queue *queue, const char *what, uint64_t segment_id, int error)
{
    char name[SEGMENT_NAME_SIZE] = "", text[sizeof queue->failure];
    if (segment_id != 0)
        bfr_segment_name(segment_id, "seg", name);
    snprintf(text, sizeof text, "cannot %s '%s/.bfr/segments/%s': %s; %s", what, queue->options.directory, name,
             strerror(error), remedy_for(error));

    pthread_mutex_lock(&queue->mutex);
    bool news = !queue->failing;
    queue->failing = true;
    queue->retry_at_ns = queue->host->monotonic_ns(queue->host) + RETRY_AFTER_NS;
    memcpy(queue->failure, text, sizeof text);
    pthread_mutex_unlock(&queue->mutex);
    if (news)
        bfr_log(queue->host, BFR_LOG_ERROR, "the spool cannot be written; batches are refused or stay where they are",
                "reason", text, NULL);
}

bool bfr_disk_checkpoint(struct disk_queue *queue, uint64_t next_id)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64 "\n", next_id + CHECKPOINT_AHEAD);
    if (!bfr_disk_dir_write(queue->dir.root, "checkpoint", text, (size_t)size) || fsync(queue->dir.root) != 0)
        return false;
    queue->checkpoint = next_id + CHECKPOINT_AHEAD;
    return true;
}

void bfr_disk_seal(struct disk_queue *queue)
{
    // What follows the last segment's end is all that recovery reads besides recent.log.
    bfr_disk_recent_sync(queue);
    pthread_mutex_lock(&queue->mutex);
    if (queue->current != NULL) {
        queue->current->sealed = true;
        queue->current->settled_bytes += queue->current->file.file_bytes - queue->current->file.end_bytes;
        queue->current = NULL;
        bfr_disk_poke_keeper(queue);
    }
    pthread_mutex_unlock(&queue->mutex);
}

// Where space comes back by moving, the last spare is for that alone. The mutex is held.
static size_t spares_kept(const struct disk_queue *queue)
{
    return queue->punch_unsupported && !queue->moving ? 1 : 0;
}

// Give spares back until `bytes` more fit under the limit. The mutex is held; *out_ids are to be unlinked.
static bool make_room(struct disk_queue *queue, uint64_t bytes, uint64_t out_ids[DISK_SPARES])
{
    for (size_t i = 0; i < DISK_SPARES; i++) {
        out_ids[i] = 0;
        if (i < spares_kept(queue) || bytes <= bfr_disk_outside(queue) || queue->spares[i] == 0)
            continue;
        out_ids[i] = queue->spares[i];
        queue->spares[i] = 0;
        queue->spares_bytes -= queue->options.segment_bytes;
    }
    return bytes <= bfr_disk_outside(queue);
}

static void unlink_spares(struct disk_queue *queue, const uint64_t ids[DISK_SPARES])
{
    char name[SEGMENT_NAME_SIZE];
    for (size_t i = 0; i < DISK_SPARES; i++) {
        if (ids[i] == 0)
            continue;
        bfr_segment_name(ids[i], "free", name);
        (void)unlinkat(queue->dir.segments, name, 0);
    }
}

// Which file the next segment is made of, and its size. False: the limit is reached. The spare is the caller's then.
static bool choose(struct disk_queue *queue, uint64_t record_bytes, uint64_t *out_bytes, uint64_t *out_spare)
{
    uint64_t dropped[DISK_SPARES] = {0}, bytes = queue->options.segment_bytes;
    bool fits = true;

    *out_spare = 0;
    if (record_bytes + SEGMENT_HEADER_BYTES > bytes) // one of its own, of just its size
        bytes = (record_bytes + SEGMENT_HEADER_BYTES + FILE_ALIGN - 1) & ~(uint64_t)(FILE_ALIGN - 1);
    pthread_mutex_lock(&queue->mutex);
    for (size_t i = spares_kept(queue); i < DISK_SPARES && bytes == queue->options.segment_bytes && *out_spare == 0;
         i++) {
        *out_spare = queue->spares[i];
        if (*out_spare != 0)
            queue->spares_bytes -= bytes;
        queue->spares[i] = 0;
    }
    if (*out_spare == 0)
        fits = make_room(queue, bytes + bfr_disk_new_side(bytes), dropped);
    pthread_mutex_unlock(&queue->mutex);
    unlink_spares(queue, dropped);
    *out_bytes = bytes;
    return fits;
}

// The file is there: it is the current segment.
static void install(struct disk_queue *queue, struct disk_segment *segment, bool recycled)
{
    uint64_t bytes = segment->file.file_bytes;
    segment->resident = segment->counted = segment->fresh = true;
    pthread_mutex_lock(&queue->mutex);
    list_push_tail(&queue->segments, &segment->link);
    queue->segments_bytes += bytes;
    bfr_disk_side_new(queue, segment);
    if (!recycled) // until the next look
        queue->free_bytes -= bytes < queue->free_bytes ? bytes : queue->free_bytes;
    queue->resident_segments++;
    queue->current = segment;
    pthread_mutex_unlock(&queue->mutex);
}

bool bfr_disk_roll(struct disk_queue *queue, uint64_t record_bytes)
{
    uint64_t bytes = 0, spare = 0, id = queue->next_segment_id;
    struct disk_segment *segment = bfr_disk_segment_new();

    if (segment == NULL) {
        bfr_disk_fail(queue, "add a segment to", 0, ENOMEM);
        return false;
    }
    if (!choose(queue, record_bytes, &bytes, &spare)) {
        bfr_disk_fail(queue, "add a segment within max_size_bytes to", 0, ENOSPC);
        bfr_disk_segment_free(segment);
        return false;
    }
    // Ids are never given twice, not even when nothing is left of the first. Not being able to say so in time is no
    // reason to refuse batches: the files that are there tell as much.
    if (id >= queue->checkpoint)
        (void)bfr_disk_checkpoint(queue, id);
    queue->next_segment_id++;
    if (!bfr_segment_create(&segment->file, queue->dir.segments, id, spare, bytes)) {
        bfr_disk_fail(queue, "make", id, errno);
        bfr_disk_segment_free(segment);
        return false;
    }
    // So that marks find room on a full disk.
    (void)fallocate(segment->file.marks_fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(bytes / MARKS_SHARE));
    bfr_disk_seal(queue);
    install(queue, segment, spare != 0);
    return true;
}
