// SPDX-License-Identifier: Apache-2.0
// Is this file fit to become part of the process? Whoever can write to a plugin, or to the directory it lies in, can
// run code as the daemon; so both must belong to root or to the daemon's own user and to nobody else. Main thread;
// opens and looks, never maps.
#include "plugin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#define SUFFIX ".so"

static uint32_t split_path(const char *path, struct bfr_plugin_file *out, struct bfr_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t length = strlen(name);
    size_t stem = length > strlen(SUFFIX) ? length - strlen(SUFFIX) : 0;
    bool good = stem > 0 && stem <= BFR_PLUGIN_NAME_MAX && strcmp(name + stem, SUFFIX) == 0;
    if (good) {
        memcpy(out->name, name, length + 1);
        memcpy(out->plugin_name, name, stem);
        out->plugin_name[stem] = '\0';
        good = bfr_plugin_name_valid(out->plugin_name);
    }
    if (!good)
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%s': a plugin's file is called NAME.so, where NAME is 1 to %d bytes of a-z, 0-9 and "
            "'-'; rename the file",
            path, BFR_PLUGIN_NAME_MAX);
    return BFR_OK;
}

// O_PATH: looking into a directory needs no right to list it.
static uint32_t open_directory(struct bfr_plugin_file *out, struct bfr_err *err)
{
    char directory[4096];
    int length = (int)(strlen(out->path) - strlen(out->name));
    if (length >= (int)sizeof directory)
        return bfr_err_set(err, BFR_EINVAL, "plugin '%.80s...': the path is longer than %zu bytes; use a shorter one",
                           out->path, sizeof directory);
    snprintf(directory, sizeof directory, "%.*s", length == 0 ? 1 : length, length == 0 ? "." : out->path);
    out->directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (out->directory_fd < 0 || fstat(out->directory_fd, &out->directory) != 0)
        return bfr_err_set(
            err, errno == ENOENT ? BFR_ENOENT : BFR_EFAIL,
            "plugin '%s': cannot open its directory '%s': %s; set 'plugin_dir' to the directory with the "
            "plugins",
            out->path, directory, strerror(errno));
    return BFR_OK;
}

static uint32_t check_trust(const char *path, const struct stat *stat, const char *what, struct bfr_err *err)
{
    uid_t self = geteuid();
    if (stat->st_uid != 0 && stat->st_uid != self)
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%s': %s belongs to uid %u, who could run code as the daemon; it must belong to root "
            "or to the daemon's user (uid %u): chown it",
            path, what, (unsigned)stat->st_uid, (unsigned)self);
    if ((stat->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%s': %s has mode %04o and can be written to by %s, who could run code as the daemon; "
            "'chmod go-w' it",
            path, what, (unsigned)stat->st_mode & 07777U, (stat->st_mode & S_IWOTH) != 0 ? "everybody" : "its group");
    return BFR_OK;
}

static uint32_t refuse_open(const char *path, int error, struct bfr_err *err)
{
    if (error == ENOENT)
        return bfr_err_set(err, BFR_ENOENT,
                           "plugin '%s': no such file; install the plugin there, or correct its name or 'plugin_dir'",
                           path);
    if (error == ELOOP)
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%s': it is a symbolic link, which could be turned elsewhere; put the file itself there", path);
    return bfr_err_set(err, BFR_EFAIL, "plugin '%s': cannot be opened: %s; give the daemon's user read access", path,
                       strerror(error));
}

static uint32_t check_elf(int fd, const char *path, struct bfr_err *err)
{
    static const char magic[4] = {0x7f, 'E', 'L', 'F'};
    char head[sizeof magic];
    ssize_t got = pread(fd, head, sizeof head, 0);
    if (got < 0)
        return bfr_err_set(err, BFR_EFAIL, "plugin '%s': cannot be read: %s; check the disk it is on", path,
                           strerror(errno));
    if ((size_t)got < sizeof head || memcmp(head, magic, sizeof magic) != 0)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it is not an ELF file, so it is no shared object; install the built plugin "
                           "(cc -shared) there",
                           path);
    return BFR_OK;
}

static bool read_at(int fd, void *out, size_t size, uint64_t offset)
{
    return pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

// Does the file end before what its own headers promise? The linker maps by them and touches the pages at once, which
// kills the process when there is no file behind them. A head that is too short, or of another machine, is the linker's
// to explain.
static bool is_cut_off(int fd, uint64_t size)
{
    ElfW(Ehdr) head;
    ElfW(Phdr) segment;
    if (!read_at(fd, &head, sizeof head, 0) || head.e_phentsize != sizeof segment)
        return false;
    for (size_t i = 0; i < head.e_phnum; i++) {
        if (!read_at(fd, &segment, sizeof segment, head.e_phoff + i * sizeof segment))
            return true;
        if (segment.p_type == PT_LOAD && (segment.p_offset > size || segment.p_filesz > size - segment.p_offset))
            return true;
    }
    return false;
}

static uint32_t check_whole(const struct bfr_plugin_file *file, int fd, struct bfr_err *err)
{
    if (!is_cut_off(fd, (uint64_t)file->file.st_size))
        return BFR_OK;
    return bfr_err_set(err, BFR_EINVAL,
                       "plugin '%s': it is cut off, %lld bytes are not the whole of it; install the file again",
                       file->path, (long long)file->file.st_size);
}

// NONBLOCK: opening a FIFO must not wait for a writer.
static uint32_t check_file(struct bfr_plugin_file *out, struct bfr_err *err)
{
    uint32_t status = BFR_OK;
    int fd = openat(out->directory_fd, out->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return refuse_open(out->path, errno, err);
    if (fstat(fd, &out->file) != 0)
        status = refuse_open(out->path, errno, err);
    else if (!S_ISREG(out->file.st_mode))
        status = bfr_err_set(err, BFR_EINVAL, "plugin '%s': it is %s, not a regular file; put the shared object there",
                             out->path, S_ISDIR(out->file.st_mode) ? "a directory" : "a device, pipe or socket");
    if (status == BFR_OK)
        status = check_trust(out->path, &out->file, "the file", err);
    if (status == BFR_OK)
        status = check_elf(fd, out->path, err);
    if (status == BFR_OK)
        status = check_whole(out, fd, err);
    close(fd);
    return status;
}

uint32_t bfr_plugin_file_open(const char *path, struct bfr_plugin_file *out, struct bfr_err *err)
{
    memset(out, 0, sizeof *out);
    out->path = path;
    out->directory_fd = -1;
    uint32_t status = split_path(path, out, err);
    if (status == BFR_OK)
        status = open_directory(out, err);
    if (status == BFR_OK)
        status = check_trust(path, &out->directory, "its directory", err);
    if (status == BFR_OK)
        status = check_file(out, err);
    if (status != BFR_OK)
        bfr_plugin_file_close(out);
    return status;
}

void bfr_plugin_file_close(struct bfr_plugin_file *file)
{
    if (file->directory_fd >= 0)
        close(file->directory_fd);
    file->directory_fd = -1;
}
