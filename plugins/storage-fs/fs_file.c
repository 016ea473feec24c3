// SPDX-License-Identifier: Apache-2.0
// See fs_file.h: the life of a temporary file. What stands under a final name is looked at in fs_compare.c.
#include "fs_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_MODE   0640
#define IOV_AT_ONCE 64
#define TEMP_PREFIX ".bfr-"

void bfr_fs_temp_names_init(struct fs_temp_names *names)
{
    // At start the pool may not be ready for a moment; the name then is the process's own and still excluded by O_EXCL.
    if (getrandom(&names->nonce, sizeof names->nonce, GRND_NONBLOCK) != (ssize_t)sizeof names->nonce)
        names->nonce = (uint64_t)getpid();
    atomic_init(&names->counter, 0);
}

static bool is_hex(const char *text, size_t length)
{
    return strspn(text, "0123456789abcdef") >= length;
}

bool bfr_fs_temp_is_name(const char *name)
{
    const size_t prefix = sizeof TEMP_PREFIX - 1;

    return strlen(name) == FS_TEMP_NAME_SIZE - 1 && strncmp(name, TEMP_PREFIX, prefix) == 0 &&
           is_hex(name + prefix, 16) && name[prefix + 16] == '-' && is_hex(name + prefix + 17, 16);
}

// Take the lock. False: a sweep was faster and has removed the file as a leftover. Where locks are not offered that shows
// later: placing the file fails, and the batch is tried again.
static bool lock_is_ours(int fd)
{
    struct stat info;
    while (flock(fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    return fstat(fd, &info) == 0 && info.st_nlink > 0;
}

bool bfr_fs_temp_create(struct fs_temp *temp, int dir_fd, struct fs_temp_names *names)
{
    for (;;) {
        uint64_t number = atomic_fetch_add_explicit(&names->counter, 1, memory_order_relaxed);
        snprintf(temp->name, sizeof temp->name, TEMP_PREFIX "%016" PRIx64 "-%016" PRIx64, names->nonce, number);
        temp->fd = openat(dir_fd, temp->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (temp->fd < 0 || lock_is_ours(temp->fd))
            return temp->fd >= 0;
        close(temp->fd);
    }
}

// writev may stop anywhere: go on from there. `skip` bytes of iov[0] are done.
static bool write_all(int fd, struct iovec *iov, size_t count)
{
    while (count > 0) {
        ssize_t written = writev(fd, iov, (int)count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        size_t left = (size_t)written;
        while (count > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (count > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
    return true;
}

bool bfr_fs_temp_write(struct fs_temp *temp, const struct bfr_span *spans, size_t count)
{
    struct iovec iov[IOV_AT_ONCE];

    for (size_t done = 0; done < count;) {
        size_t n = 0;
        for (; n < IOV_AT_ONCE && done < count; n++, done++)
            iov[n] = (struct iovec){.iov_base = (void *)(uintptr_t)spans[done].data, .iov_len = spans[done].size};
        if (!write_all(temp->fd, iov, n))
            return false;
    }
    return true;
}

void bfr_fs_temp_begin_sync(const struct fs_temp *temp)
{
    (void)sync_file_range(temp->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

bool bfr_fs_temp_sync(struct fs_temp *temp)
{
    return fdatasync(temp->fd) == 0;
}

// It has its final name now. What it held was synced, so close has nothing left to report.
static void let_go(struct fs_temp *temp)
{
    close(temp->fd);
    *temp = FS_TEMP_NONE;
}

// Network and FUSE file systems without RENAME_NOREPLACE: a hard link refuses a taken name just as well.
static bool place_by_link(struct fs_temp *temp, int dir_fd, const char *name)
{
    if (linkat(dir_fd, temp->name, dir_fd, name, 0) != 0)
        return false;
    (void)unlinkat(dir_fd, temp->name, 0); // if it stays, the next start's sweep removes it
    return true;
}

bool bfr_fs_temp_place(struct fs_temp *temp, int dir_fd, const char *name)
{
    bool placed = renameat2(dir_fd, temp->name, dir_fd, name, RENAME_NOREPLACE) == 0;

    if (!placed && (errno == EINVAL || errno == ENOSYS))
        placed = place_by_link(temp, dir_fd, name);
    if (placed)
        let_go(temp);
    return placed;
}

bool bfr_fs_temp_replace(struct fs_temp *temp, int dir_fd, const char *name)
{
    if (renameat(dir_fd, temp->name, dir_fd, name) != 0)
        return false;
    let_go(temp);
    return true;
}

void bfr_fs_temp_discard(struct fs_temp *temp, int dir_fd)
{
    if (temp->fd < 0)
        return;
    (void)unlinkat(dir_fd, temp->name, 0);
    let_go(temp);
}
