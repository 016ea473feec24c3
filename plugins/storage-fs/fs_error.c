// SPDX-License-Identifier: Apache-2.0
// See fs_error.h.
#include "fs_error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bfr/batch.h>

static const struct {
    int error;
    const char *way_out;
} ways_out[] = {
    {ENOSPC, "free space or enlarge the file system"},
    {EDQUOT, "free space or raise the quota of the service user"},
    {EACCES, "give the service user write and search permission there"},
    {EPERM, "give the service user write permission there; check the file system for attributes and policies"},
    {EROFS, "mount the file system writable"},
    {ENOENT, "make the missing directory or mount what belongs there"},
    {ENOTDIR, "something that is no directory stands in the way; move it"},
    {ELOOP, "a symbolic link stands in the way; put a real directory there"},
    {EMFILE, "raise the limit of open files (LimitNOFILE=)"},
    {ENFILE, "raise fs.file-max"},
    {EIO, "check the disk and the kernel log"},
    {ESTALE, "mount the network file system again"},
    {ENAMETOOLONG, "use a file system that takes names of 255 bytes"},
    {EFBIG, "raise the limit of file sizes (LimitFSIZE=)"},
    {ENOMEM, "give the machine or the service more memory"},
};

static const char *way_out(int error)
{
    for (size_t i = 0; i < sizeof ways_out / sizeof ways_out[0]; i++)
        if (ways_out[i].error == error)
            return ways_out[i].way_out;
    return "check the file system and the kernel log";
}

void bfr_fs_outage(struct fs_result *result, int error, const char *verb, const char *path)
{
    char cause[128];

    result->outcome = BFR_RETRY;
    result->flags = BFR_OUTAGE;
    snprintf(result->text, sizeof result->text, "cannot %s '%s': %s; %s", verb, path,
             strerror_r(error, cause, sizeof cause), way_out(error));
}

void bfr_fs_reject(struct fs_result *result, uint32_t reason, const char *format, ...)
{
    va_list args;

    result->outcome = BFR_REJECT;
    result->reason = reason;
    va_start(args, format);
    vsnprintf(result->text, sizeof result->text, format, args);
    va_end(args);
}
