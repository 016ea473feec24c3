// SPDX-License-Identifier: Apache-2.0
// See disk_recover.h. Nothing here is fatal but a directory that cannot be listed and a lack of memory: a spool on a full or
// read-only disk still has batches to send.
#include "disk_recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_aside.h"
#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_letters.h"
#include "disk_load.h"
#include "disk_move.h"
#include "disk_room.h"
#include "disk_seen.h"

#define CHECKPOINT_MAX 64

// A segment that is there, known by name and size. In the list by id.
static bool add_segment(struct disk_queue *queue, uint64_t id, const struct stat *info)
{
    struct disk_segment *segment = bfr_disk_segment_new();
    if (segment == NULL)
        return false;
    uint64_t allocated = (uint64_t)info->st_blocks * 512;
    segment->file.id = id;
    segment->file.file_bytes = (uint64_t)info->st_size;
    segment->sealed = true;
    segment->punched_bytes = segment->file.file_bytes > allocated ? segment->file.file_bytes - allocated : 0;
    queue->segments_bytes += segment->file.file_bytes - segment->punched_bytes;
    bfr_disk_side_found(queue, segment, bfr_segment_file_bytes(queue->dir.segments, id, "done"),
                        bfr_segment_file_bytes(queue->dir.segments, id, "idx"), 0);
    struct list *place = queue->segments.prev;
    while (place != &queue->segments && LIST_OWNER(place, struct disk_segment, link)->file.id > id)
        place = place->prev;
    list_insert_before(place->next, &segment->link);
    return true;
}

static void add_spare(struct disk_queue *queue, uint64_t id, const char *name, const struct stat *info)
{
    for (size_t i = 0; i < DISK_SPARES; i++) {
        if (queue->spares[i] != 0 || (uint64_t)info->st_size != queue->options.segment_bytes)
            continue;
        queue->spares[i] = id;
        queue->spares_bytes += queue->options.segment_bytes;
        return;
    }
    (void)unlinkat(queue->dir.segments, name, 0);
}

static bool add_file(struct disk_queue *queue, const char *name, uint64_t *highest)
{
    const char *suffix = NULL;
    uint64_t id = 0;
    struct stat info;
    if (!bfr_segment_name_parse(name, &id, &suffix) ||
        fstatat(queue->dir.segments, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        return true; // not ours: let it be
    *highest = id > *highest ? id : *highest;
    if (strcmp(suffix, "seg") == 0)
        return add_segment(queue, id, &info);
    if (strcmp(suffix, "free") == 0)
        add_spare(queue, id, name, &info);
    else if (strcmp(suffix, "tmp") == 0)
        (void)unlinkat(queue->dir.segments, name, 0);
    return true;
}

static uint32_t list_segments(struct disk_queue *queue, uint64_t *highest, struct bfr_err *err)
{
    int fd = openat(queue->dir.segments, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool memory = true;
    const struct dirent *item;
    if (dir == NULL) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return bfr_err_set(err, BFR_EFAIL, "cannot list '%s/.bfr/segments': %s", queue->options.directory,
                           strerror(error));
    }
    while (memory && (item = readdir(dir)) != NULL)
        memory = add_file(queue, item->d_name, highest);
    closedir(dir);
    return memory ? BFR_OK : bfr_err_set(err, BFR_ENOMEM, "out of memory while listing the segments");
}

// Marks and indexes whose segment is gone: the end of a removal that a crash cut short.
static void remove_orphans(struct disk_queue *queue)
{
    int fd = openat(queue->dir.segments, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *item;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((item = readdir(dir)) != NULL) {
        const char *suffix = NULL;
        uint64_t id = 0;
        char segment[SEGMENT_NAME_SIZE];
        struct stat info;
        if (!bfr_segment_name_parse(item->d_name, &id, &suffix) ||
            (strcmp(suffix, "done") != 0 && strcmp(suffix, "idx") != 0 && strcmp(suffix, "move") != 0))
            continue;
        bfr_segment_name(id, "seg", segment);
        if (fstatat(fd, segment, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
            (void)unlinkat(fd, item->d_name, 0);
    }
    closedir(dir);
}

// Ids go on where no earlier life has been: behind the files, the letters, and what the checkpoint says.
static void choose_next_id(struct disk_queue *queue, uint64_t highest)
{
    size_t size = 0;
    char *text = bfr_disk_dir_read(queue->dir.root, "checkpoint", CHECKPOINT_MAX, &size);
    uint64_t next = highest + 1;
    if (queue->filed_count > 0) {
        uint64_t letter = (queue->filed[queue->filed_count - 1] >> 24) + 1;
        next = letter > next ? letter : next;
    }
    uint64_t said = text == NULL ? 0 : strtoull(text, NULL, 10);
    // A checkpoint from another world would leave no ids.
    if (said > next && said >> 39 == 0)
        next = said;
    free(text);
    queue->next_segment_id = next;
    if (!bfr_disk_checkpoint(queue, next))
        bfr_log(queue->host, BFR_LOG_WARN, "the checkpoint cannot be written", "directory", queue->options.directory,
                "reason", strerror(errno), NULL);
}

// recent.log is synced when a segment is sealed, so only the newest one can know more.
static void read_newest(struct disk_queue *queue)
{
    struct found found;
    bool gone = false;
    if (list_empty(&queue->segments))
        return;
    struct disk_segment *newest = LIST_OWNER(queue->segments.prev, struct disk_segment, link);
    if (bfr_disk_segment_read(queue, newest, true, &found, &gone))
        bfr_found_free(&found);
    bfr_segment_close(&newest->file);
    newest->retry_at_ns = 0;
    if (gone)
        bfr_disk_segment_forget(queue, newest);
}

uint32_t bfr_disk_recover(struct disk_queue *queue, struct bfr_err *err)
{
    uint64_t highest = 0;
    uint32_t status = list_segments(queue, &highest, err);
    if (status != BFR_OK)
        return status;
    remove_orphans(queue);
    queue->aside_bytes = bfr_disk_aside_count(queue);
    queue->fixed_bytes = bfr_disk_dir_bytes(&queue->dir);
    if (!bfr_disk_letters_list(queue))
        return bfr_err_set(err, BFR_ENOMEM, "out of memory while listing the dead letters");
    choose_next_id(queue, highest);
    if (!bfr_disk_move_recover(queue))
        return bfr_err_set(err, BFR_ENOMEM, "out of memory for the records of a segment that was being emptied");
    queue->seen = bfr_disk_seen_new();
    read_newest(queue);
    return BFR_OK;
}
