// SPDX-License-Identifier: Apache-2.0
// See disk_dir.h. Main thread at start; the small file helpers from any thread. Names are made durable at once: a segment
// in a directory that is lost with the power would be lost with it.
#include "disk_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bfr/text.h>

#include "file_read.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define ROOT_NAME ".bfr"

#define FIXED_FILES_BYTES UINT64_C(8192) // checkpoint, and the next one while it is written

const struct disk_dir bfr_disk_dir_closed = {NULL, -1, -1, -1, -1, -1, 0, false};

static uint32_t refuse(struct bfr_err *err, const char *what, const char *path, const char *name)
{
    int error = errno;
    const char *remedy = error == ENOSPC || error == EDQUOT ? "free some space on its file system"
                         : error == EROFS                   ? "mount its file system writable"
                         : error == EMFILE || error == ENFILE
                             ? "raise the limit of open files"
                             : "make it a directory that the service user may read and write";
    return bfr_err_set(err, BFR_EFAIL, "cannot %s '%s%s%s': %s; %s", what, path, name[0] == '\0' ? "" : "/", name,
                       strerror(error), remedy);
}

// Make `name` in `at` if it is missing, and the name durable. False with errno.
static bool make_durable(int at, const char *name, mode_t mode)
{
    if (mkdirat(at, name, mode) == 0)
        return fsync(at) == 0;
    return errno == EEXIST;
}

// Every missing directory on the way to `path`, and itself; -1 with errno. The configured directory is the user's: it may
// well be a link.
static int open_base(const char *path, bool make)
{
    int fd = open(path, DIR_FLAGS);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd;
    char *copy = strdup(path);
    if (copy == NULL)
        return -1;
    int at = open(path[0] == '/' ? "/" : ".", DIR_FLAGS);
    char *state = NULL;
    for (char *part = strtok_r(copy, "/", &state); part != NULL && at >= 0; part = strtok_r(NULL, "/", &state)) {
        int next = make_durable(at, part, 0750) ? openat(at, part, DIR_FLAGS) : -1;
        int saved = errno;
        close(at);
        errno = saved;
        at = next;
    }
    int saved = errno;
    free(copy);
    errno = saved;
    return at;
}

static int open_part(int at, const char *name, bool make)
{
    // Also when it is there already: who made it may not have lived to sync the name.
    if (make && (!make_durable(at, name, 0700) || fsync(at) != 0))
        return -1;
    return openat(at, name, DIR_FLAGS | O_NOFOLLOW);
}

static uint32_t refuse_in_use(const char *path, struct bfr_err *err)
{
    return bfr_err_set(err, DISK_DIR_IN_USE,
                       "the spool in '%s' is in use by another process; stop that one, or give this one a directory of "
                       "its own",
                       path);
}

// flock belongs to the open file, so it ends with the process, however that ends, and knows nothing of process ids.
static uint32_t take_lock(struct disk_dir *dir, const char *path, struct bfr_err *err)
{
    dir->lock = openat(dir->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock < 0)
        return refuse(err, "open", path, ROOT_NAME "/lock");
    if (flock(dir->lock, LOCK_EX | LOCK_NB) == 0)
        return BFR_OK;
    if (errno != EWOULDBLOCK)
        return refuse(err, "lock", path, ROOT_NAME "/lock");
    return refuse_in_use(path, err);
}

uint32_t bfr_disk_dir_open(struct disk_dir *dir, const char *path, bool make, struct bfr_err *err)
{
    struct {
        const char *name;
        int *fd;
    } parts[] = {{"segments", &dir->segments}, {"dlq", &dir->letters}, {"quarantine", &dir->quarantine}};
    uint32_t status = BFR_OK;
    int base = open_base(path, make);

    *dir = bfr_disk_dir_closed;
    dir->path = path;
    if (base < 0)
        return refuse(err, make ? "make or open directory" : "open directory", path, "");
    dir->root = open_part(base, ROOT_NAME, make);
    if (dir->root < 0 && errno == ENOENT)
        status = bfr_err_set(err, BFR_ENOENT, "there is no spool in '%s'", path);
    else if (dir->root < 0)
        status = refuse(err, "make or open directory", path, ROOT_NAME);
    close(base);
    if (status == BFR_OK)
        status = take_lock(dir, path, err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == BFR_OK; i++) {
        // A spool that lost one of its parts has nothing in there; a tool reads the rest all the same.
        *parts[i].fd = open_part(dir->root, parts[i].name, true);
        if (*parts[i].fd < 0)
            status = refuse(err, "make or open directory", path, parts[i].name);
    }
    if (status != BFR_OK)
        bfr_disk_dir_close(dir);
    return status;
}

// Shared with other readers, and kept out by a daemon. Where there is no lock to be had (a disk mounted read-only that never
// had one, someone else's files), reading goes on without.
static uint32_t take_reading_lock(struct disk_dir *dir, const char *path, struct bfr_err *err)
{
    dir->lock = openat(dir->root, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (dir->lock >= 0 && flock(dir->lock, LOCK_SH | LOCK_NB) == 0)
        return BFR_OK;
    if (dir->lock >= 0 && errno == EWOULDBLOCK)
        return refuse_in_use(path, err);
    dir->lock_error = errno;
    return BFR_OK;
}

uint32_t bfr_disk_dir_open_reading(struct disk_dir *dir, const char *path, struct bfr_err *err)
{
    int base = open(path, DIR_FLAGS);
    uint32_t status = BFR_OK;

    *dir = bfr_disk_dir_closed;
    dir->path = path;
    dir->reading = true;
    if (base < 0)
        return refuse(err, "open directory", path, "");
    dir->root = open_part(base, ROOT_NAME, false);
    if (dir->root < 0 && errno == ENOENT)
        status = bfr_err_set(err, BFR_ENOENT, "there is no spool in '%s'", path);
    else if (dir->root < 0)
        status = refuse(err, "open directory", path, ROOT_NAME);
    close(base);
    if (status == BFR_OK)
        status = take_reading_lock(dir, path, err);
    if (status == BFR_OK && (dir->segments = open_part(dir->root, "segments", false)) < 0 && errno != ENOENT)
        status = refuse(err, "open directory", path, "segments");
    if (status == BFR_OK && (dir->letters = open_part(dir->root, "dlq", false)) < 0 && errno != ENOENT)
        status = refuse(err, "open directory", path, "dlq");
    if (status == BFR_OK && (dir->quarantine = open_part(dir->root, "quarantine", false)) < 0 && errno != ENOENT)
        status = refuse(err, "open directory", path, "quarantine");
    if (status != BFR_OK)
        bfr_disk_dir_close(dir);
    return status;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void bfr_disk_dir_close(struct disk_dir *dir)
{
    close_fd(dir->segments);
    close_fd(dir->letters);
    close_fd(dir->quarantine);
    close_fd(dir->root);
    close_fd(dir->lock);
    *dir = bfr_disk_dir_closed;
}

const char *bfr_disk_dir_doubtful(const struct disk_dir *dir)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } doubtful[] = {
        {TMPFS_MAGIC, "tmpfs"}, {RAMFS_MAGIC, "ramfs"}, {OVERLAYFS_SUPER_MAGIC, "overlayfs"}, {NFS_SUPER_MAGIC, "NFS"}};
    struct statfs info;
    if (fstatfs(dir->root, &info) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof doubtful / sizeof doubtful[0]; i++)
        if ((unsigned long)info.f_type == doubtful[i].magic)
            return doubtful[i].name;
    return NULL;
}

bool bfr_disk_dir_has_holes(const struct disk_dir *dir)
{
    // The lock's file is empty: nothing is lost by it.
    return fallocate(dir->lock, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 ||
           (errno != EOPNOTSUPP && errno != ENOSYS);
}

uint64_t bfr_disk_dir_free(const struct disk_dir *dir, uint64_t *out_total)
{
    struct statvfs info;
    *out_total = 0;
    if (fstatvfs(dir->root, &info) != 0)
        return 0;
    *out_total = (uint64_t)info.f_blocks * info.f_frsize;
    return (uint64_t)(geteuid() == 0 ? info.f_bfree : info.f_bavail) * info.f_frsize;
}

uint64_t bfr_disk_dir_bytes(const struct disk_dir *dir)
{
    const int parts[] = {dir->root, dir->segments, dir->letters, dir->quarantine};
    uint64_t bytes = FIXED_FILES_BYTES;
    struct stat info;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (fstat(parts[i], &info) == 0)
            bytes += (uint64_t)info.st_blocks * 512;
    if (stat(dir->path, &info) == 0)
        bytes += (uint64_t)info.st_blocks * 512;
    return bytes;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, bytes, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            errno = wrote == 0 ? EIO : errno;
            return false;
        }
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

bool bfr_disk_dir_write(int directory, const char *name, const void *bytes, size_t size)
{
    char temporary[NAME_MAX + 1];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", name) >= (int)sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good =
        fd >= 0 && write_all(fd, bytes, size) && fsync(fd) == 0 && renameat(directory, temporary, directory, name) == 0;
    int saved = errno;
    close_fd(fd);
    if (!good)
        (void)unlinkat(directory, temporary, 0);
    errno = saved;
    return good;
}

char *bfr_disk_dir_read(int directory, const char *name, size_t most, size_t *out_size)
{
    struct stat info;
    char *bytes = NULL;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0) {
        *out_size = (size_t)info.st_size;
        if (!S_ISREG(info.st_mode) || *out_size > most)
            errno = EFBIG;
        else if ((bytes = malloc(*out_size + 1)) != NULL && !bfr_file_read_whole(fd, bytes, *out_size)) {
            int error = errno;
            free(bytes);
            bytes = NULL;
            errno = error;
        }
    }
    if (bytes != NULL)
        bytes[*out_size] = '\0';
    int saved = errno;
    close(fd);
    errno = saved;
    return bytes;
}
