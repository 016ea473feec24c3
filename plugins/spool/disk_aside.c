// SPDX-License-Identifier: Apache-2.0
// See disk_aside.h. Whoever recovers calls this; nothing depends on its success but a person's chance to look.
#include "disk_aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_room.h"

#define COPY_BYTES  ((size_t)64 << 10)
#define ASIDE_SHARE 16 // at most this part of the spool

// An unreadable block becomes zeros: the rest of the stretch is worth having.
static bool copy_range(const struct segment_file *file, uint64_t from, uint64_t to, int out)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    bool good = buffer != NULL;
    while (good && from < to) {
        size_t part = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        if (!bfr_segment_read(file, buffer, part, from))
            memset(buffer, 0, part);
        good = write(out, buffer, part) == (ssize_t)part;
        from += part;
    }
    free(buffer);
    return good;
}

bool bfr_disk_aside_take(struct disk_queue *queue, uint64_t bytes)
{
    bytes = bfr_disk_blocks(bytes);
    pthread_mutex_lock(&queue->mutex);
    bool fits =
        queue->aside_bytes + bytes <= queue->options.max_size_bytes / ASIDE_SHARE && bytes <= bfr_disk_outside(queue);
    if (fits)
        queue->aside_bytes += bytes;
    pthread_mutex_unlock(&queue->mutex);
    return fits;
}

static void aside_return(struct disk_queue *queue, uint64_t bytes)
{
    pthread_mutex_lock(&queue->mutex);
    queue->aside_bytes -= bfr_disk_blocks(bytes);
    pthread_mutex_unlock(&queue->mutex);
}

// As `name` in quarantine. It may be there from an earlier reading of the segment: then it is counted already.
static bool keep_range(struct disk_queue *queue, const struct segment_file *file, uint64_t from, uint64_t to,
                       const char *name)
{
    struct stat info;
    if (fstatat(queue->dir.quarantine, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(info.st_mode);
    if (!bfr_disk_aside_take(queue, to - from))
        return false;
    int fd = openat(queue->dir.quarantine, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && copy_range(file, from, to, fd);
    if (fd >= 0)
        close(fd);
    if (!good && fd >= 0)
        (void)unlinkat(queue->dir.quarantine, name, 0);
    if (!good)
        aside_return(queue, to - from);
    return good;
}

static void note(struct disk_queue *queue, const char *text)
{
    pthread_mutex_lock(&queue->mutex);
    snprintf(queue->trouble_text, sizeof queue->trouble_text, "%s", text);
    pthread_mutex_unlock(&queue->mutex);
}

void bfr_disk_aside_bytes(struct disk_queue *queue, const struct segment_file *file, uint64_t from, uint64_t to,
                          bool torn)
{
    char name[64], path[320];
    snprintf(name, sizeof name, "%016" PRIx64 "-%" PRIu64 ".bin", file->id, from);
    bool kept = keep_range(queue, file, from, to, name);
    snprintf(path, sizeof path, "%.200s/.bfr/quarantine/%s", queue->options.directory, name);
    if (!torn)
        note(queue, "damaged records were set aside in quarantine; see the log");
    bfr_log(queue->host, torn ? BFR_LOG_INFO : BFR_LOG_ERROR,
            torn ? "a write that the last stop cut off was set aside; it was never acknowledged"
                 : "part of a segment is damaged; what was in it is lost to the daemon and set aside",
            "kept", kept ? path : "(no room to keep it)", "offset", bfr_num((int64_t)from).text, "bytes",
            bfr_num((int64_t)(to - from)).text, NULL);
}

bool bfr_disk_aside_segment(struct disk_queue *queue, uint64_t id)
{
    static const char *const suffixes[] = {"seg", "done", "idx"};
    char name[SEGMENT_NAME_SIZE], path[320];
    bfr_segment_name(id, "seg", name);
    if (renameat(queue->dir.segments, name, queue->dir.quarantine, name) != 0)
        return false;
    for (size_t i = 1; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char other[SEGMENT_NAME_SIZE];
        bfr_segment_name(id, suffixes[i], other);
        (void)renameat(queue->dir.segments, other, queue->dir.quarantine, other);
    }
    (void)fsync(queue->dir.quarantine);
    (void)fsync(queue->dir.segments);
    note(queue, "a whole segment could not be read and was set aside in quarantine; see the log");
    snprintf(path, sizeof path, "%.200s/.bfr/quarantine/%s", queue->options.directory, name);
    bfr_log(queue->host, BFR_LOG_ERROR, "not a segment that can be read; set aside as a whole", "kept", path, NULL);
    return true;
}

uint64_t bfr_disk_aside_count(const struct disk_queue *queue)
{
    uint64_t bytes = 0;
    int fd = openat(queue->dir.quarantine, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *item;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((item = readdir(dir)) != NULL) {
        struct stat info;
        if (fstatat(fd, item->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_blocks * 512;
    }
    closedir(dir);
    return bytes;
}
