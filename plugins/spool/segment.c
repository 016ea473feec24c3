// SPDX-License-Identifier: Apache-2.0
// Segment files on disk. Writing belongs to the commit thread; reading may happen anywhere. Nothing here logs: errno goes
// up to whoever decides.
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file_read.h"

#define BLOCK_BYTES 4096u // what a file system gives back at least

void bfr_segment_name(uint64_t id, const char *suffix, char out[SEGMENT_NAME_SIZE])
{
    snprintf(out, SEGMENT_NAME_SIZE, "%016" PRIx64 ".%.5s", id, suffix);
}

bool bfr_segment_name_parse(const char *name, uint64_t *id, const char **suffix)
{
    if (strspn(name, "0123456789abcdef") != 16 || name[16] != '.')
        return false;
    *id = strtoull(name, NULL, 16);
    *suffix = name + 17;
    return *id != 0;
}

uint64_t bfr_segment_file_bytes(int directory, uint64_t id, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    struct stat info;
    bfr_segment_name(id, suffix, name);
    return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
}

bool bfr_segment_file_exists(int directory, uint64_t id, const char *suffix)
{
    char name[SEGMENT_NAME_SIZE];
    bfr_segment_name(id, suffix, name);
    return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// A file of that size, {id}.free: the recycled one, or a fresh one. -1 with errno. *out_id: under which id it stands.
static int make_file(int directory, uint64_t id, uint64_t recycled, uint64_t file_bytes, uint64_t *out_id)
{
    char name[SEGMENT_NAME_SIZE];
    if (recycled != 0) {
        struct stat stat;
        bfr_segment_name(recycled, "free", name);
        int fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        *out_id = recycled;
        if (fd >= 0 && fstat(fd, &stat) == 0 && (uint64_t)stat.st_size == file_bytes)
            return fd;
        if (fd >= 0)
            close(fd);
        (void)unlinkat(directory, name, 0);
    }
    *out_id = id;
    bfr_segment_name(id, "free", name);
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    // Where the file system cannot preallocate, a sparse file of the same size does; only the speed differs.
    if (fallocate(fd, 0, 0, (off_t)file_bytes) == 0)
        return fd;
    if ((errno == EOPNOTSUPP || errno == ENOSYS) && ftruncate(fd, (off_t)file_bytes) == 0)
        return fd;
    int saved = errno;
    close(fd);
    (void)unlinkat(directory, name, 0);
    errno = saved;
    return -1;
}

static bool write_header(struct segment_file *segment)
{
    struct timespec now;
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    clock_gettime(CLOCK_REALTIME, &now);
    const struct segment_header header = {.id = segment->id,
                                          .nonce = segment->nonce,
                                          .created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
                                          .file_bytes = segment->file_bytes};
    struct iovec vector = {bytes, sizeof bytes};
    bfr_segment_header_encode(&header, bytes);
    return bfr_segment_write(segment, &vector, 1, sizeof bytes);
}

// The header is on the disk before the file has its name, so that a crash never leaves a segment without one.
bool bfr_segment_create(struct segment_file *segment, int directory, uint64_t id, uint64_t recycled,
                        uint64_t file_bytes)
{
    char name[SEGMENT_NAME_SIZE], marks_name[SEGMENT_NAME_SIZE], spare[SEGMENT_NAME_SIZE];
    uint64_t spare_id = 0;
    *segment = (struct segment_file){.id = id, .file_bytes = file_bytes, .fd = -1, .marks_fd = -1};
    bfr_segment_name(id, "seg", name);
    // Never over one that is there: what follows undoes itself by removing whatever has this id.
    if (faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    if (getrandom(&segment->nonce, sizeof segment->nonce, 0) != (ssize_t)sizeof segment->nonce)
        return false;
    segment->fd = make_file(directory, id, recycled, file_bytes, &spare_id);
    if (segment->fd < 0)
        return false;
    bfr_segment_name(id, "done", marks_name);
    bfr_segment_name(spare_id, "free", spare);
    segment->marks_fd = openat(directory, marks_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (segment->marks_fd >= 0 && write_header(segment) && fsync(segment->fd) == 0 && fsync(segment->marks_fd) == 0 &&
        renameat(directory, spare, directory, name) == 0 && fsync(directory) == 0) {
        segment->end_bytes = SEGMENT_HEADER_BYTES;
        return true;
    }
    int saved = errno;
    bfr_segment_close(segment);
    (void)unlinkat(directory, spare, 0);
    (void)bfr_segment_remove(directory, id, false);
    errno = saved;
    return false;
}

// The nonce of a segment whose header is damaged: what its first record says, provided that this one checks with it, or
// else what the header says. A wrong one does no harm: no record checks with it. Only the very first place is trusted,
// because there no body of a sender can stand.
static bool salvage_nonce(struct segment_file *segment, const uint8_t header[SEGMENT_HEADER_BYTES])
{
    uint8_t head[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    struct record_header record;
    segment->header_damaged = true;
    if (bfr_segment_read(segment, head, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES)) {
        segment->nonce = bfr_record_header_nonce(head);
        if (bfr_record_header_decode(head, segment->id, segment->nonce, &record) &&
            bfr_segment_read(segment, head, RECORD_HEADER_BYTES + record.envelope_bytes, SEGMENT_HEADER_BYTES) &&
            bfr_record_check(head, &record))
            return true;
    }
    struct segment_header claimed;
    bool plausible = bfr_segment_header_guess(header, &claimed) && claimed.id == segment->id;
    segment->nonce = claimed.nonce;
    errno = 0;
    return plausible;
}

// Is the open file this segment, and with which nonce? False with errno as bfr_segment_open has it.
static bool read_nonce(struct segment_file *segment, struct stat *stat)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    if (fstat(segment->fd, stat) != 0)
        return false;
    if (!S_ISREG(stat->st_mode)) {
        errno = 0;
        return false;
    }
    if (!bfr_segment_read(segment, bytes, sizeof bytes, 0))
        return false;
    if (!bfr_segment_header_decode(bytes, &header))
        return salvage_nonce(segment, bytes);
    segment->nonce = header.nonce;
    errno = ESTALE;
    return header.id == segment->id;
}

static bool open_files(struct segment_file *segment, int directory, uint64_t id, bool reading)
{
    const int access = (reading ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW;
    char name[SEGMENT_NAME_SIZE];
    *segment = (struct segment_file){.id = id, .fd = -1, .marks_fd = -1};
    bfr_segment_name(id, "seg", name);
    segment->fd = openat(directory, name, access);
    if (segment->fd < 0)
        return false;
    bfr_segment_name(id, "done", name);
    struct stat stat;
    if (read_nonce(segment, &stat)) {
        segment->file_bytes = (uint64_t)stat.st_size;
        segment->end_bytes = (uint64_t)stat.st_size;
        segment->marks_fd = openat(directory, name, access | (reading ? 0 : O_CREAT), 0600);
        if (segment->marks_fd >= 0 || (reading && errno == ENOENT))
            return true;
    }
    int saved = errno;
    bfr_segment_close(segment);
    errno = saved;
    return false;
}

bool bfr_segment_open(struct segment_file *segment, int directory, uint64_t id)
{
    return open_files(segment, directory, id, false);
}

bool bfr_segment_open_reading(struct segment_file *segment, int directory, uint64_t id)
{
    return open_files(segment, directory, id, true);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void bfr_segment_close(struct segment_file *segment)
{
    close_fd(&segment->fd);
    close_fd(&segment->marks_fd);
}

// Drop `done` bytes from the front of the vectors; returns how many vectors are used up.
static size_t advance(struct iovec *vectors, size_t count, size_t done)
{
    size_t used = 0;
    while (used < count && done >= vectors[used].iov_len)
        done -= vectors[used++].iov_len;
    if (used < count) {
        vectors[used].iov_base = (char *)vectors[used].iov_base + done;
        vectors[used].iov_len -= done;
    }
    return used;
}

bool bfr_segment_write(struct segment_file *segment, struct iovec *vectors, size_t count, uint64_t bytes)
{
    uint64_t offset = segment->end_bytes;
    if (offset + bytes > segment->file_bytes) {
        errno = EFBIG;
        return false;
    }
    while (count > 0) {
        ssize_t wrote = pwritev(segment->fd, vectors, count > IOV_MAX ? IOV_MAX : (int)count, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            errno = wrote == 0 ? EIO : errno;
            return false;
        }
        offset += (uint64_t)wrote;
        size_t used = advance(vectors, count, (size_t)wrote);
        vectors += used;
        count -= used;
    }
    return true;
}

bool bfr_segment_sync(struct segment_file *segment)
{
    struct stat info;
    if (fdatasync(segment->fd) != 0 || fstat(segment->fd, &info) != 0)
        return false;
    // Somebody deleted the file: what is written to it is there until it is closed, for this process alone.
    errno = info.st_nlink == 0 ? ENOENT : 0;
    return info.st_nlink > 0;
}

bool bfr_segment_read(const struct segment_file *segment, void *out, size_t size, uint64_t offset)
{
    return bfr_file_read(segment->fd, out, size, offset);
}

static bool write_zeros(const struct segment_file *segment, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[BLOCK_BYTES];
    return from >= to || pwrite(segment->fd, zeros, (size_t)(to - from), (off_t)from) == (ssize_t)(to - from);
}

bool bfr_segment_punch(struct segment_file *segment, uint64_t from, uint64_t to)
{
    uint64_t first = (from + BLOCK_BYTES - 1) & ~(uint64_t)(BLOCK_BYTES - 1);
    uint64_t last = to & ~(uint64_t)(BLOCK_BYTES - 1);
    if (first >= last)
        return true;
    // The ragged ends are zeroed, so that a scan finds nothing where there was something.
    return fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)(last - first)) ==
               0 &&
           write_zeros(segment, from, first) && write_zeros(segment, last, to);
}

bool bfr_segment_remove(int directory, uint64_t id, bool keep_file)
{
    char name[SEGMENT_NAME_SIZE], spare[SEGMENT_NAME_SIZE];
    bfr_segment_name(id, "seg", name);
    bfr_segment_name(id, "free", spare);
    bool gone = keep_file ? renameat(directory, name, directory, spare) == 0 : unlinkat(directory, name, 0) == 0;
    if (!gone && errno != ENOENT)
        return false;
    // Without its marks the segment would be offered again as a whole: it goes first, for good.
    if (fsync(directory) != 0)
        return false;
    bfr_segment_name(id, "done", name);
    (void)unlinkat(directory, name, 0);
    bfr_segment_name(id, "idx", name);
    (void)unlinkat(directory, name, 0);
    return true;
}
