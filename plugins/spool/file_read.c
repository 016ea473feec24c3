// SPDX-License-Identifier: Apache-2.0
// See file_read.h. Owns nothing.
#include "file_read.h"

#include <errno.h>
#include <unistd.h>

bool bfr_file_read(int fd, void *out, size_t size, uint64_t offset)
{
    char *at = out;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? 0 : errno;
            return false;
        }
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

bool bfr_file_read_whole(int fd, void *out, size_t size)
{
    bool good = bfr_file_read(fd, out, size, 0);
    if (!good && errno == 0)
        errno = EIO;
    return good;
}
