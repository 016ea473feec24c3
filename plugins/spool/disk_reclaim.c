// SPDX-License-Identifier: Apache-2.0
// See disk_reclaim.h. Removing needs no space and no marks: a segment that is gone cannot be offered again. Holes need the
// marks of what they swallow on the disk first, because a restart would take the stretch for damage otherwise.
#include "disk_reclaim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_load.h"
#include "disk_recent.h"
#include "disk_room.h"

#define AGAIN_AFTER_NS  (1 * DISK_NS_PER_S)
#define GAP_MIN_BYTES   (UINT64_C(64) << 10)
#define PUNCH_MIN_BYTES (2 * GAP_MIN_BYTES)

// --- whole segments

static bool is_done(const struct disk_segment *segment, uint64_t now_ns)
{
    return segment->sealed && segment->counted && segment->live == 0 && segment->pins == 0 &&
           list_empty(&segment->entries) && now_ns >= segment->retry_at_ns;
}

// A spare is worth having when it is whole, of the usual size, and nobody waits for room. The mutex is held.
static uint64_t *spare_slot(struct disk_queue *queue, const struct disk_segment *segment)
{
    if (segment->file.file_bytes != queue->options.segment_bytes || segment->punched_bytes > 0)
        return NULL;
    if (queue->punch_unsupported && queue->spares[0] == 0)
        return &queue->spares[0]; // the reserve
    if (queue->refused || queue->keeper_stop || bfr_disk_outside(queue) < queue->options.segment_bytes)
        return NULL;
    for (size_t i = 0; i < DISK_SPARES; i++)
        if (queue->spares[i] == 0)
            return &queue->spares[i];
    return NULL;
}

// `id`: only that one; 0: any. The mutex is held.
static struct disk_segment *take_done(struct disk_queue *queue, uint64_t id, bool *out_keep)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    for (struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (!is_done(segment, now_ns) || (id != 0 && segment->file.id != id))
            continue;
        *out_keep = spare_slot(queue, segment) != NULL;
        segment->marks_used = 0; // what they say is said by the file's absence
        return segment;
    }
    return NULL;
}

// Only this thread fills slots, so the one that was free still is.
static void add_spare(struct disk_queue *queue, const struct disk_segment *segment)
{
    for (size_t i = 0; i < DISK_SPARES; i++) {
        if (queue->spares[i] != 0)
            continue;
        queue->spares[i] = segment->file.id;
        queue->spares_bytes += segment->file.file_bytes;
        return;
    }
}

bool bfr_disk_remove_one(struct disk_queue *queue)
{
    return bfr_disk_remove_id(queue, 0);
}

bool bfr_disk_remove_id(struct disk_queue *queue, uint64_t id)
{
    bool keep = false;
    pthread_mutex_lock(&queue->mutex);
    struct disk_segment *segment = take_done(queue, id, &keep);
    pthread_mutex_unlock(&queue->mutex);
    if (segment == NULL)
        return false;

    bfr_disk_recent_sync(queue);
    if (!bfr_segment_remove(queue->dir.segments, segment->file.id, keep)) {
        bfr_log(queue->host, BFR_LOG_WARN, "a settled segment cannot be removed; its space stays in use", "segment",
                bfr_num((int64_t)segment->file.id).text, "reason", strerror(errno), NULL);
        segment->retry_at_ns = queue->host->monotonic_ns(queue->host) + AGAIN_AFTER_NS;
        return false;
    }
    pthread_mutex_lock(&queue->mutex);
    if (keep)
        add_spare(queue, segment);
    else
        queue->free_bytes += segment->file.file_bytes - segment->punched_bytes; // until the next look
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_segment_forget(queue, segment);
    return true;
}

// Spares are room for records, but not for what stands beside them.
bool bfr_disk_spare_drop(struct disk_queue *queue)
{
    char name[SEGMENT_NAME_SIZE];
    uint64_t id = 0;
    pthread_mutex_lock(&queue->mutex);
    if (queue->refused && bfr_disk_outside(queue) < queue->options.segment_bytes) {
        for (size_t i = queue->punch_unsupported ? 1 : 0; i < DISK_SPARES && id == 0; i++) {
            id = queue->spares[i];
            queue->spares[i] = 0;
        }
    }
    queue->spares_bytes -= id != 0 ? queue->options.segment_bytes : 0;
    bool wake = id != 0 && bfr_disk_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);
    if (id == 0)
        return false;
    bfr_segment_name(id, "free", name);
    (void)unlinkat(queue->dir.segments, name, 0);
    if (wake)
        queue->host->ready(queue->host);
    return true;
}

// --- holes

struct gap {
    uint64_t from, to;
};

static bool is_worth_punching(const struct disk_segment *segment, uint64_t now_ns)
{
    uint64_t eighth = segment->file.file_bytes / 8;
    return segment->sealed && segment->resident && segment->parked == 0 && segment->live > 0 && !segment->marks_lost &&
           segment->settled_bytes >= (eighth > PUNCH_MIN_BYTES ? eighth : PUNCH_MIN_BYTES) &&
           now_ns >= segment->retry_at_ns;
}

// The stretches between what is still wanted, as an array of up to `room`. The mutex is held.
static size_t list_gaps(const struct disk_segment *segment, struct gap *gaps, size_t room)
{
    uint64_t at = SEGMENT_HEADER_BYTES;
    size_t count = 0;
    for (const struct list *node = segment->entries.next; node != &segment->entries && count < room;
         node = node->next) {
        const struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, link);
        if (entry->offset >= at + GAP_MIN_BYTES)
            gaps[count++] = (struct gap){at, entry->offset};
        at = entry->offset + bfr_disk_entry_record_bytes(entry);
    }
    if (count < room && segment->file.file_bytes >= at + GAP_MIN_BYTES)
        gaps[count++] = (struct gap){at, segment->file.file_bytes};
    return count;
}

// The segment, pinned, and its gaps; or NULL. Marks that are not on the disk yet are asked for. The mutex is held.
static struct disk_segment *take_punchable(struct disk_queue *queue, struct gap *gaps, size_t room, size_t *out_count)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    for (struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (!is_worth_punching(segment, now_ns))
            continue;
        if (segment->marks_used > 0 || segment->pins > 0) {
            queue->marks_wanted |= queue->refused;
            bfr_disk_poke_commit(queue);
            continue;
        }
        *out_count = list_gaps(segment, gaps, room);
        segment->settled_bytes = 0;
        segment->pins++;
        return segment;
    }
    return NULL;
}

static bool punch_all(struct disk_queue *queue, struct disk_segment *segment, const struct gap *gaps, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = bfr_segment_punch(&segment->file, gaps[i].from, gaps[i].to);
    if (!good) {
        bool unsupported = errno == EOPNOTSUPP || errno == ENOSYS;
        segment->retry_at_ns = queue->host->monotonic_ns(queue->host) + AGAIN_AFTER_NS;
        if (unsupported)
            bfr_log(queue->host, BFR_LOG_INFO,
                    "this file system has no holes; space comes back with whole segments, which are emptied for it",
                    "directory", queue->options.directory, NULL);
        queue->punch_unsupported |= unsupported;
    }
    return good;
}

bool bfr_disk_punch_one(struct disk_queue *queue)
{
    enum { GAPS_MAX = 1024 };
    struct gap *gaps = queue->punch_unsupported ? NULL : calloc(GAPS_MAX, sizeof *gaps);
    size_t count = 0;
    if (gaps == NULL)
        return false;
    pthread_mutex_lock(&queue->mutex);
    struct disk_segment *segment = take_punchable(queue, gaps, GAPS_MAX, &count);
    pthread_mutex_unlock(&queue->mutex);
    bool good = segment != NULL && punch_all(queue, segment, gaps, count);
    free(gaps);
    if (segment == NULL)
        return false;

    struct stat info;
    uint64_t punched = segment->punched_bytes;
    if (fstat(segment->file.fd, &info) == 0 && (uint64_t)info.st_blocks * 512 < segment->file.file_bytes)
        punched = segment->file.file_bytes - (uint64_t)info.st_blocks * 512;
    pthread_mutex_lock(&queue->mutex);
    segment->pins--;
    queue->segments_bytes -= punched - segment->punched_bytes;
    segment->punched_bytes = punched;
    bool wake = good && bfr_disk_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);
    if (wake)
        queue->host->ready(queue->host);
    return good;
}
