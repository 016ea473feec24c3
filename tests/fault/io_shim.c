// SPDX-License-Identifier: Apache-2.0
// For LD_PRELOAD: the calls with which a daemon changes files, made to fail by rules, and recorded. What the daemon does not
// do below the watched directory goes straight through. Any thread; never allocates.
#include "io_shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

// The next definition of the same name: the C library's, or a sanitizer's.
#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

#define VECTORS_MAX 1024

static size_t vectors_bytes(const struct iovec *vectors, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += vectors[i].iov_len;
    return bytes;
}

// Where write(2) would write now.
static off_t position(int fd)
{
    struct stat stat;
    int flags = fcntl(fd, F_GETFL);
    if ((flags & O_APPEND) != 0 && fstat(fd, &stat) == 0)
        return stat.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

// One entry a vector: what a power loss leaves of a write is any of its sectors anyway.
static void log_vectors(int fd, const struct iovec *vectors, int count, off_t offset, size_t limit)
{
    uint64_t inode = shim_inode(fd);
    for (int i = 0; i < count && limit > 0; i++) {
        size_t size = vectors[i].iov_len < limit ? vectors[i].iov_len : limit;
        shim_log(OP_WRITE, inode, (uint64_t)offset, "", vectors[i].iov_base, size);
        offset += (off_t)size;
        limit -= size;
    }
}

// Cuts the vectors to `limit` bytes; returns how many are left.
static int cut_vectors(struct iovec *out, const struct iovec *vectors, int count, size_t limit)
{
    int used = 0;
    for (; used < count && used < VECTORS_MAX && limit > 0; used++) {
        out[used] = vectors[used];
        if (out[used].iov_len > limit)
            out[used].iov_len = limit;
        limit -= out[used].iov_len;
    }
    return used;
}

typedef ssize_t write_fn(int fd, const struct iovec *vectors, int count, off_t offset);

// Every way of writing comes down to this. `offset` is for the log; `next` knows whether it is a parameter.
static ssize_t write_vectors(int fd, const struct iovec *vectors, int count, off_t offset, write_fn *next)
{
    char path[SHIM_PATH_MAX];
    struct iovec cut[VECTORS_MAX];
    size_t limit = SIZE_MAX;
    if (!shim_fd_path(fd, path))
        return next(fd, vectors, count, offset);
    if (shim_fails(SHIM_WRITE, path, &limit))
        return -1;
    if (limit < vectors_bytes(vectors, count)) {
        count = cut_vectors(cut, vectors, count, limit);
        vectors = cut;
    }
    if (shim_recording())
        log_vectors(fd, vectors, count, offset >= 0 ? offset : position(fd), limit);
    return next(fd, vectors, count, offset);
}

static ssize_t next_write(int fd, const struct iovec *vectors, int count, off_t offset)
{
    (void)offset;
    return count == 1 ? NEXT(write)(fd, vectors[0].iov_base, vectors[0].iov_len) : NEXT(writev)(fd, vectors, count);
}

static ssize_t next_pwrite(int fd, const struct iovec *vectors, int count, off_t offset)
{
    return count == 1 ? NEXT(pwrite)(fd, vectors[0].iov_base, vectors[0].iov_len, offset)
                      : NEXT(pwritev)(fd, vectors, count, offset);
}

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
    const struct iovec vector = {(void *)(uintptr_t)data, size};
    return write_vectors(fd, &vector, 1, -1, next_write);
}

EXPORT ssize_t writev(int fd, const struct iovec *vectors, int count)
{
    return write_vectors(fd, vectors, count, -1, next_write);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    const struct iovec vector = {(void *)(uintptr_t)data, size};
    return write_vectors(fd, &vector, 1, offset, next_pwrite);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite(fd, data, size, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
    return write_vectors(fd, vectors, count, offset, next_pwrite);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *vectors, int count, off_t offset)
{
    return pwritev(fd, vectors, count, offset);
}

static int sync_file(int fd, int (*next)(int))
{
    static uint64_t serials;
    char path[SHIM_PATH_MAX];
    if (!shim_fd_path(fd, path))
        return next(fd);
    if (shim_fails(SHIM_SYNC, path, NULL))
        return -1;
    if (!shim_recording())
        return next(fd);
    // Only what was written before the call began is covered by it.
    uint64_t serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    shim_log(OP_SYNC_BEGIN, shim_inode(fd), serial, "", NULL, 0);
    int result = next(fd);
    if (result == 0)
        shim_log(OP_SYNC_END, shim_inode(fd), serial, "", NULL, 0);
    return result;
}

EXPORT int fsync(int fd)
{
    return sync_file(fd, NEXT(fsync));
}

EXPORT int fdatasync(int fd)
{
    return sync_file(fd, NEXT(fdatasync));
}

EXPORT int ftruncate(int fd, off_t size)
{
    char path[SHIM_PATH_MAX];
    bool ours = shim_fd_path(fd, path);
    if (ours && shim_fails(SHIM_TRUNCATE, path, NULL))
        return -1;
    if (ours && shim_recording())
        shim_log(OP_SIZE, shim_inode(fd), (uint64_t)size, "", NULL, 0);
    return NEXT(ftruncate)(fd, size);
}

EXPORT int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
    char path[SHIM_PATH_MAX];
    bool ours = shim_fd_path(fd, path);
    if (ours && shim_fails(SHIM_FALLOCATE, path, NULL))
        return -1;
    if (ours && shim_recording()) {
        uint64_t length = (uint64_t)size;
        if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
            shim_log(OP_PUNCH, shim_inode(fd), (uint64_t)offset, "", &length, sizeof length);
        else if ((mode & FALLOC_FL_KEEP_SIZE) == 0)
            shim_log(OP_GROW, shim_inode(fd), (uint64_t)(offset + size), "", NULL, 0);
    }
    return NEXT(fallocate)(fd, mode, offset, size);
}

EXPORT int fallocate64(int fd, int mode, off_t offset, off_t size)
{
    return fallocate(fd, mode, offset, size);
}

// A rename between the watched directory and elsewhere is not foreseen: the log has what it knows.
static bool rename_fails(int from_dir, const char *from, int to_dir, const char *to, char paths[2][SHIM_PATH_MAX])
{
    paths[0][0] = '\0';
    return shim_at_path(from_dir, from, paths[0]) && shim_at_path(to_dir, to, paths[1]) &&
           shim_fails(SHIM_RENAME, paths[1], NULL);
}

static int renamed(int result, char paths[2][SHIM_PATH_MAX])
{
    if (result == 0 && paths[0][0] != '\0' && shim_recording())
        shim_log(OP_RENAME, 0, 0, paths[0], paths[1], strlen(paths[1]));
    return result;
}

EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char paths[2][SHIM_PATH_MAX];
    if (rename_fails(from_dir, from, to_dir, to, paths))
        return -1;
    return renamed(NEXT(renameat2)(from_dir, from, to_dir, to, flags), paths);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char paths[2][SHIM_PATH_MAX];
    if (rename_fails(from_dir, from, to_dir, to, paths))
        return -1;
    return renamed(NEXT(renameat)(from_dir, from, to_dir, to), paths);
}

EXPORT int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int unlinkat(int directory, const char *name, int flags)
{
    char path[SHIM_PATH_MAX];
    bool ours = shim_at_path(directory, name, path);
    if (ours && shim_fails(SHIM_UNLINK, path, NULL))
        return -1;
    int result = NEXT(unlinkat)(directory, name, flags);
    if (result == 0 && ours && shim_recording())
        shim_log((flags & AT_REMOVEDIR) != 0 ? OP_RMDIR : OP_UNLINK, 0, 0, path, NULL, 0);
    return result;
}

EXPORT int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

EXPORT int mkdirat(int directory, const char *name, mode_t mode)
{
    char path[SHIM_PATH_MAX];
    struct stat stat;
    bool ours = shim_at_path(directory, name, path);
    if (ours && shim_fails(SHIM_MKDIR, path, NULL))
        return -1;
    int result = NEXT(mkdirat)(directory, name, mode);
    if (result == 0 && ours && shim_recording() && fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
        shim_log(OP_MKDIR, stat.st_ino, 0, path, NULL, 0);
    return result;
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

EXPORT int openat(int directory, const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    char path[SHIM_PATH_MAX];
    if ((flags & (O_CREAT | O_TRUNC)) == 0 || !shim_at_path(directory, name, path))
        return NEXT(openat)(directory, name, flags, mode);
    struct stat stat;
    bool fresh = fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) != 0;
    if (fresh && shim_fails(SHIM_CREATE, path, NULL))
        return -1;
    int fd = NEXT(openat)(directory, name, flags, mode);
    if (fd >= 0 && fresh && shim_recording())
        shim_log(OP_CREATE, shim_inode(fd), 0, path, NULL, 0);
    else if (fd >= 0 && (flags & O_TRUNC) != 0 && shim_recording())
        shim_log(OP_SIZE, shim_inode(fd), 0, "", NULL, 0);
    return fd;
}

EXPORT int openat64(int directory, const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    return openat(directory, name, flags, mode);
}

EXPORT int open(const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    return openat(AT_FDCWD, name, flags, mode);
}

EXPORT int open64(const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    return openat(AT_FDCWD, name, flags, mode);
}
