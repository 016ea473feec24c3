// SPDX-License-Identifier: Apache-2.0
// Are these the bytes that were accepted? Asked of a batch before it is written, and of a file that stands under its name
// already. Reads, syncs, changes nothing.
//
// The batch is checked by CRC32C, not by SHA-256: the enemy here is a bit that flipped in RAM or on the way through a
// queue, and a CRC of 32 bits costs a few microseconds per megabyte where SHA-256 costs a thousand or more. A file is
// compared by SHA-256, because there the answer decides whether somebody else's bytes count as these.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include "fs_file.h"

#define READ_AT_ONCE 65536

static uint32_t add_crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
    while (size > 0) { // ISA-L takes an int
        int part = size > INT_MAX ? INT_MAX : (int)size;
        crc = crc32_iscsi((unsigned char *)(uintptr_t)data, part, crc);
        data += part;
        size -= (size_t)part;
    }
    return crc;
}

bool bfr_fs_body_is_whole(const struct bfr_batch *batch, uint32_t *out_crc32c)
{
    uint32_t crc = UINT32_MAX;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < batch->span_count; i++) {
        crc = add_crc32c(crc, batch->spans[i].data, batch->spans[i].size);
        bytes += batch->spans[i].size;
    }
    *out_crc32c = ~crc;
    return *out_crc32c == batch->crc32c && bytes == batch->body_bytes;
}

static bool hash_file(int fd, uint8_t out[32])
{
    uint8_t buffer[READ_AT_ONCE];
    ssize_t got = -1;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool ok = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;

    if (!ok)
        errno = ENOMEM;
    while (ok && (got = read(fd, buffer, sizeof buffer)) != 0) {
        if (got > 0)
            ok = EVP_DigestUpdate(hash, buffer, (size_t)got) == 1;
        else if (errno != EINTR)
            ok = false;
    }
    if (ok)
        ok = EVP_DigestFinal_ex(hash, out, NULL) == 1;
    int error = errno;
    EVP_MD_CTX_free(hash);
    errno = error;
    return ok;
}

// A file that somebody else put there may not have reached the disk yet.
static enum fs_standing compare_open(int fd, const struct bfr_batch *batch, uint8_t out_sha256[32])
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return FS_STANDING_ERROR;
    if (!S_ISREG(info.st_mode))
        return FS_STANDING_STRANGE;
    if (!hash_file(fd, out_sha256))
        return FS_STANDING_ERROR;
    if (memcmp(out_sha256, batch->stored_sha256, sizeof batch->stored_sha256) != 0)
        return FS_STANDING_OTHER;
    return fdatasync(fd) == 0 ? FS_STANDING_SAME : FS_STANDING_ERROR;
}

enum fs_standing bfr_fs_file_compare(int dir_fd, const char *name, const struct bfr_batch *batch,
                                     uint8_t out_sha256[32])
{
    // O_NONBLOCK: a FIFO under that name must not stop the worker.
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return FS_STANDING_GONE;
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? FS_STANDING_STRANGE : FS_STANDING_ERROR;
    enum fs_standing standing = compare_open(fd, batch, out_sha256);
    int error = errno;
    close(fd);
    errno = error;
    return standing;
}
