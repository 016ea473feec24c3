// SPDX-License-Identifier: Apache-2.0
// See recent_log.h. What is lost of this file costs no batch: a repeated delivery is stored again under its own name, where
// the sink finds it to be there already.
#include "recent_log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_dir.h"
#include "record.h"

#define NAMES_MAX      (RECENT_ENTRY_MAX - RECENT_HEAD_BYTES - 4)
#define FILE_BYTES_MAX ((size_t)1 << 30)

static const uint8_t magic[4] = {'B', 'F', 'R', 'K'};

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

size_t bfr_recent_encode(const struct bfr_batch *batch, uint8_t *out)
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
static size_t decode(const uint8_t *at, size_t left, struct bfr_recent *out)
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
    if (get32(at + size) != bfr_crc32c(0, at, size) || !take_names((const char *)at + RECENT_HEAD_BYTES, names, out))
        return 0;
    return size + 4;
}

void bfr_recent_init(struct recent_log *log)
{
    *log = (struct recent_log){.directory = -1, .fd = -1};
    pthread_mutex_init(&log->mutex, NULL);
}

bool bfr_recent_open(struct recent_log *log, int directory)
{
    struct stat info;
    log->directory = directory;
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

bool bfr_recent_append(struct recent_log *log, const uint8_t *bytes, size_t size, size_t entries)
{
    pthread_mutex_lock(&log->mutex);
    bool good = log->fd >= 0 && write_at(log->fd, bytes, size, log->bytes);
    if (good) {
        log->bytes += size;
        log->entries += entries;
        log->dirty = true;
    }
    pthread_mutex_unlock(&log->mutex);
    return good;
}

bool bfr_recent_sync(struct recent_log *log)
{
    pthread_mutex_lock(&log->mutex);
    bool good = log->fd < 0 || !log->dirty || fdatasync(log->fd) == 0;
    log->dirty = false; // after a failed sync the next entries bring the next one; these may be lost
    pthread_mutex_unlock(&log->mutex);
    return good;
}

uint64_t bfr_recent_entries(struct recent_log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t entries = log->entries;
    pthread_mutex_unlock(&log->mutex);
    return entries;
}

uint64_t bfr_recent_bytes(struct recent_log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t bytes = log->bytes;
    pthread_mutex_unlock(&log->mutex);
    return bytes;
}

bool bfr_recent_read(struct recent_log *log, void (*visit)(void *arg, const struct bfr_recent *recent), void *arg)
{
    size_t size = 0;
    uint64_t entries = 0;
    char *bytes = bfr_disk_dir_read(log->directory, RECENT_NAME, FILE_BYTES_MAX, &size);
    if (bytes == NULL)
        return errno == ENOENT;
    for (size_t at = 0; at < size;) {
        struct bfr_recent recent;
        size_t length = decode((const uint8_t *)bytes + at, size - at, &recent);
        if (length > 0) {
            entries++;
            if (visit != NULL)
                visit(arg, &recent);
        }
        at += length > 0 ? length : 1;
    }
    free(bytes);
    pthread_mutex_lock(&log->mutex);
    log->entries = entries;
    pthread_mutex_unlock(&log->mutex);
    return true;
}

// Where the entries to be kept begin: behind the oldest ones that are too many or too old.
static size_t find_cut(const uint8_t *bytes, size_t size, uint64_t entries, uint64_t most, int64_t since_ns,
                       uint64_t *out_kept)
{
    struct bfr_recent recent;
    size_t at = 0;
    while (at < size) {
        size_t length = decode(bytes + at, size - at, &recent);
        if (length > 0 && entries <= most && recent.received_ns >= since_ns)
            break;
        entries -= length > 0 && entries > 0 ? 1 : 0;
        at += length > 0 ? length : 1;
    }
    *out_kept = entries;
    return at;
}

// The new file is in place: append to it from now on. The mutex is held.
static bool adopt(struct recent_log *log, uint64_t bytes, uint64_t entries)
{
    int fd = openat(log->directory, RECENT_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    close(log->fd);
    log->fd = fd;
    log->bytes = bytes;
    log->entries = entries;
    log->dirty = false;
    return true;
}

bool bfr_recent_cut(struct recent_log *log, uint64_t most, int64_t since_ns)
{
    size_t size = 0;
    uint64_t kept = 0;
    bool good = false;
    // Appending waits meanwhile: tens of megabytes once in some hundred thousand batches.
    pthread_mutex_lock(&log->mutex);
    char *bytes = log->fd < 0 ? NULL : bfr_disk_dir_read(log->directory, RECENT_NAME, FILE_BYTES_MAX, &size);
    if (bytes != NULL) {
        size_t cut = find_cut((const uint8_t *)bytes, size, log->entries, most, since_ns, &kept);
        good = cut == 0 || (bfr_disk_dir_write(log->directory, RECENT_NAME, bytes + cut, size - cut) &&
                            adopt(log, size - cut, kept));
        free(bytes);
    }
    pthread_mutex_unlock(&log->mutex);
    return good;
}
