// SPDX-License-Identifier: Apache-2.0
// Reads a secret from its file. Runs on the thread that reads the configuration. Never shows a byte of the content, never
// waits on a pipe or device, leaves no copy behind but the one in the caller's arena.
#include "config_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bfr/text.h>

#include "config_file.h"

static uint32_t open_regular(const char *path, int *out_fd, bool *out_exposed, struct bfr_err *err)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return bfr_err_set(err, BFR_EINVAL, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        return bfr_err_set(err, BFR_EINVAL, "'%s' is not a regular file", path);
    }
    *out_fd = fd;
    *out_exposed = (about.st_mode & S_IROTH) != 0;
    return BFR_OK;
}

static size_t without_newline(const char *text, size_t size)
{
    if (size > 0 && text[size - 1] == '\n')
        size--;
    if (size > 0 && text[size - 1] == '\r')
        size--;
    return size;
}

uint32_t bfr_secret_read(struct bfr_arena *arena, const char *path, const char **out, bool *out_exposed,
                         struct bfr_err *err)
{
    char buffer[BFR_SECRET_MAX_BYTES + 1]; // one more than allowed, to see that there is more
    int fd = -1;
    uint32_t status = open_regular(path, &fd, out_exposed, err);
    if (status != BFR_OK)
        return status;

    ssize_t got = bfr_file_read_all(fd, buffer, sizeof buffer);
    size_t size = got > 0 ? without_newline(buffer, (size_t)got) : 0;
    if (got < 0)
        status = bfr_err_set(err, BFR_EINVAL, "cannot read '%s': %s", path, strerror(errno));
    else if (got > BFR_SECRET_MAX_BYTES)
        status = bfr_err_set(err, BFR_EINVAL, "'%s' is larger than %d KiB; is it the right file?", path,
                             BFR_SECRET_MAX_BYTES / 1024);
    else if (size == 0)
        status = bfr_err_set(err, BFR_EINVAL, "'%s' is empty; write the secret into it", path);
    else if (memchr(buffer, '\0', size) != NULL)
        status = bfr_err_set(err, BFR_EINVAL, "'%s' holds a NUL byte; a secret is text", path);
    else if ((*out = bfr_arena_copy(arena, buffer, size)) == NULL)
        status = bfr_err_set(err, BFR_ENOMEM, "out of memory");
    explicit_bzero(buffer, sizeof buffer);
    close(fd);
    return status;
}
