// SPDX-License-Identifier: Apache-2.0
// See recent_log.h. What is lost of this file costs no batch: a repeated delivery is stored again under its own name, where
// the sink finds it to be there already.
#include "recent_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_dir.h"
#include "little_endian.h"
#include "record.h"

#define NAMES_MAX      (RECENT_ENTRY_MAX - RECENT_HEAD_BYTES - 4)
#define FILE_BYTES_MAX ((size_t)1 << 30)
#define BLOCK_BYTES    UINT64_C(4096)

#define RECENT_TMP_NAME "recent.tmp"

static const uint8_t magic[4] = {'B', 'F', 'R', 'K'};

size_t bfr_recent_encode(const struct bfr_batch *batch, uint64_t sequence, uint8_t *out)
{
    const char *const names[] = {batch->tenant, batch->dataset, batch->filename};
    size_t size = RECENT_HEAD_BYTES;
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(names[i]) + 1;
        if (size - RECENT_HEAD_BYTES + length > NAMES_MAX)
            return 0;
        memcpy(out + size, names[i], length);
        size += length;
    }
    memcpy(out, magic, sizeof magic);
    put32(out + 4, (uint32_t)(size - RECENT_HEAD_BYTES));
    put64(out + 8, batch->body_bytes);
    put64(out + 16, (uint64_t)batch->received_ns);
    memcpy(out + 24, batch->source_sha256, 32);
    put64(out + 56, sequence);
    put32(out + size, bfr_crc32c(0, out, size));
    return size + 4;
}

// The three names in `text`, `size` bytes with their NULs.
static bool take_names(const char *text, size_t size, struct bfr_recent *out)
{
    const char **const names[] = {&out->tenant, &out->dataset, &out->filename};
    const char *end = text + size;
    for (size_t i = 0; i < 3; i++) {
        size_t length = strnlen(text, (size_t)(end - text));
        if (length == (size_t)(end - text))
            return false;
        *names[i] = text;
        text += length + 1;
    }
    return text == end;
}

// The entry at `at`; returns its length, 0 when there is none.
static size_t decode(const uint8_t *at, size_t left, struct bfr_recent *out, uint64_t *out_sequence)
{
    if (left < RECENT_HEAD_BYTES + 4 || memcmp(at, magic, sizeof magic) != 0)
        return 0;
    size_t names = get32(at + 4);
    if (names > NAMES_MAX || names > left - RECENT_HEAD_BYTES - 4)
        return 0;
    size_t size = RECENT_HEAD_BYTES + names;
    *out =
        (struct bfr_recent){.size = sizeof *out, .body_bytes = get64(at + 8), .received_ns = (int64_t)get64(at + 16)};
    memcpy(out->source_sha256, at + 24, 32);
    *out_sequence = get64(at + 56);
    if (get32(at + size) != bfr_crc32c(0, at, size) || !take_names((const char *)at + RECENT_HEAD_BYTES, names, out))
        return 0;
    return size + 4;
}

static uint64_t blocks_of(uint64_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
}

void bfr_recent_init(struct recent_log *log)
{
    *log = (struct recent_log){.directory = -1, .fd = -1, .most_bytes = FILE_BYTES_MAX, .most_entries = UINT64_MAX};
    pthread_mutex_init(&log->mutex, NULL);
}

bool bfr_recent_open(struct recent_log *log, int directory)
{
    struct stat info;
    log->directory = directory;
    if (fstatat(directory, RECENT_OLD_NAME, &info, AT_SYMLINK_NOFOLLOW) == 0)
        log->old_bytes = (uint64_t)info.st_size;
    log->fd = openat(directory, RECENT_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->fd < 0)
        return false;
    if (fstat(log->fd, &info) == 0 && S_ISREG(info.st_mode)) {
        log->bytes = (uint64_t)info.st_size;
        return true;
    }
    close(log->fd);
    log->fd = -1;
    return false;
}

void bfr_recent_limit(struct recent_log *log, uint64_t most_entries, uint64_t most_bytes)
{
    log->most_entries = most_entries;
    log->most_bytes = most_bytes;
}

void bfr_recent_entries(struct recent_log *log, uint64_t most)
{
    pthread_mutex_lock(&log->mutex);
    log->most_entries = most;
    pthread_mutex_unlock(&log->mutex);
}

void bfr_recent_close(struct recent_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
    pthread_mutex_destroy(&log->mutex);
}

static bool write_at(int fd, const uint8_t *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t wrote = pwrite(fd, bytes, size, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            errno = wrote == 0 ? EIO : errno;
            return false;
        }
        bytes += wrote;
        offset += (uint64_t)wrote;
        size -= (size_t)wrote;
    }
    return true;
}

// A new file takes the place of recent.log, which takes that of recent.old. A crash between the two renames leaves none to
// append to, and opening makes one. False with errno: all goes on in the old one. The mutex is held.
static bool rotate(struct recent_log *log)
{
    int fd = openat(log->directory, RECENT_TMP_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    if (fdatasync(log->fd) != 0 || renameat(log->directory, RECENT_NAME, log->directory, RECENT_OLD_NAME) != 0 ||
        renameat(log->directory, RECENT_TMP_NAME, log->directory, RECENT_NAME) != 0 || fsync(log->directory) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    close(log->fd);
    log->fd = fd;
    log->old_bytes = log->bytes;
    log->bytes = log->entries = 0;
    return true;
}

bool bfr_recent_append(struct recent_log *log, const uint8_t *bytes, size_t size, size_t entries)
{
    pthread_mutex_lock(&log->mutex);
    bool full = log->entries + entries > log->most_entries || log->bytes + size > log->most_bytes;
    bool good = log->fd >= 0 && (!full || log->bytes == 0 || rotate(log)) && write_at(log->fd, bytes, size, log->bytes);
    if (good) {
        log->bytes += size;
        log->entries += entries;
        log->dirty = true;
    }
    pthread_mutex_unlock(&log->mutex);
    return good;
}

bool bfr_recent_forget(struct recent_log *log, const struct bfr_batch *batch)
{
    uint8_t entry[RECENT_ENTRY_MAX];
    size_t size = bfr_recent_encode(batch, RECENT_PURGED, entry);
    return size == 0 || bfr_recent_append(log, entry, size, 1);
}

bool bfr_recent_sync(struct recent_log *log)
{
    pthread_mutex_lock(&log->mutex);
    bool good = log->fd < 0 || !log->dirty || fdatasync(log->fd) == 0;
    log->dirty = false; // after a failed sync the next entries bring the next one; these may be lost
    pthread_mutex_unlock(&log->mutex);
    return good;
}

uint64_t bfr_recent_bytes(struct recent_log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t bytes = blocks_of(log->bytes) + blocks_of(log->old_bytes);
    pthread_mutex_unlock(&log->mutex);
    return bytes;
}

// Every good entry of one file; false with errno. *out_entries: how many there are.
static bool read_one(const struct recent_log *log, const char *name, recent_visit_fn visit, void *arg,
                     uint64_t *out_entries)
{
    size_t size = 0;
    char *bytes = bfr_disk_dir_read(log->directory, name, FILE_BYTES_MAX, &size);
    *out_entries = 0;
    if (bytes == NULL)
        return errno == ENOENT;
    for (size_t at = 0; at < size;) {
        struct bfr_recent recent;
        uint64_t sequence;
        size_t length = decode((const uint8_t *)bytes + at, size - at, &recent, &sequence);
        if (length > 0) {
            *out_entries += 1;
            if (visit != NULL)
                visit(arg, &recent, sequence);
        }
        at += length > 0 ? length : 1;
    }
    free(bytes);
    return true;
}

bool bfr_recent_read(struct recent_log *log, recent_visit_fn visit, void *arg)
{
    uint64_t old = 0, entries = 0;
    bool good = read_one(log, RECENT_OLD_NAME, visit, arg, &old);
    if (!read_one(log, RECENT_NAME, visit, arg, &entries) || !good)
        return false;
    pthread_mutex_lock(&log->mutex);
    log->entries = entries;
    pthread_mutex_unlock(&log->mutex);
    return true;
}
