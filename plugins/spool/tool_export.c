// SPDX-License-Identifier: Apache-2.0
// `spool export`: what waits in the spool as plain files, laid out as the fs sink does. Follows no link below OUT, never
// writes over other bytes, removes nothing from the spool.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#define TEMPORARY                                                                                                      \
    "."                                                                                                                \
    "bfr-export.tmp"

struct export
{
    int out;
    uint64_t written;
    uint64_t there;    // before, with the same bytes
    uint64_t kept_out; // could not be written, which has been said
    uint64_t letters;
};

// The directory `name` below `parent`, made if need be; -1 with errno. A link is not followed.
static int enter(int parent, const char *name)
{
    if (mkdirat(parent, name, 0777) == 0 && fsync(parent) != 0)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, bytes, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

// False with errno, EEXIST when the name is taken.
static bool write_file(int directory, const char *name, const uint8_t *bytes, size_t size)
{
    (void)unlinkat(directory, TEMPORARY, 0); // of an export that did not end
    int fd = openat(directory, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    bool good = fd >= 0 && write_all(fd, bytes, size) && fsync(fd) == 0 &&
                renameat2(directory, TEMPORARY, directory, name, RENAME_NOREPLACE) == 0 && fsync(directory) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !good)
        (void)unlinkat(directory, TEMPORARY, 0);
    errno = saved;
    return good;
}

static bool has_bytes(int directory, const char *name, const uint8_t *bytes, size_t size)
{
    uint8_t part[65536];
    struct stat stat;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool same = fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && (size_t)stat.st_size == size;
    for (size_t done = 0; same && done < size;) {
        size_t wanted = size - done < sizeof part ? size - done : sizeof part;
        ssize_t got = pread(fd, part, wanted, (off_t)done);
        same = got > 0 && memcmp(part, bytes + done, (size_t)got) == 0;
        done += same ? (size_t)got : 0;
    }
    if (fd >= 0)
        close(fd);
    return same;
}

static void store(struct export *export, const struct tool_record *record)
{
    const struct bfr_batch *batch = &record->batch;
    size_t size = (size_t)batch->body_bytes;
    int tenant = -1, dataset = -1;
    errno = EINVAL;
    if (bfr_tool_name_is_safe(batch->tenant) && bfr_tool_name_is_safe(batch->dataset) &&
        bfr_tool_name_is_safe(batch->filename) && (tenant = enter(export->out, batch->tenant)) >= 0)
        dataset = enter(tenant, batch->dataset);
    if (dataset >= 0 && write_file(dataset, batch->filename, record->body, size)) {
        export->written++;
    } else if (dataset >= 0 && errno == EEXIST && has_bytes(dataset, batch->filename, record->body, size)) {
        export->there++;
    } else {
        bool taken = dataset >= 0 && errno == EEXIST;
        export->kept_out++;
        bfr_tool_complain("'%s/%s/%s' is not written: %s", batch->tenant, batch->dataset, batch->filename,
                          taken ? "a file of that name with other bytes is there" : strerror(errno));
    }
    if (dataset >= 0)
        close(dataset);
    if (tenant >= 0)
        close(tenant);
}

static bool export_segment(void *arg, const struct tool_segment *segment)
{
    struct export *export = arg;
    bool good = segment->gaps == 0;
    if (!good)
        bfr_tool_complain("segment %016llx: %llu bytes cannot be read", (unsigned long long)segment->file->id,
                          (unsigned long long)segment->gap_bytes);
    for (size_t i = 0; i < segment->found->count; i++) {
        if (bfr_tool_waiting(segment->found, &segment->found->records[i]) == 0) {
            export->letters++;
            continue;
        }
        struct tool_record *record = bfr_tool_read(segment, &segment->found->records[i]);
        if (record != NULL)
            store(export, record);
        good = good && record != NULL;
        free(record);
    }
    return good;
}

int bfr_tool_export(int argc, char **argv)
{
    struct disk_dir dir;
    if (!bfr_tool_operands(argc, argv, 2))
        return BFR_TOOL_USAGE;
    if (!bfr_tool_open_reading(&dir, argv[0], ""))
        return BFR_TOOL_FAILED;
    bool good = false;
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        bfr_tool_complain("cannot make the directory '%s': %s", argv[1], strerror(errno));
    } else {
        struct export export = {.out = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (export.out < 0) {
            bfr_tool_complain("cannot open the directory '%s': %s", argv[1], strerror(errno));
        } else {
            good = bfr_tool_each_segment(&dir, export_segment, &export) && export.kept_out == 0;
            printf("%llu files written, %llu were there already, %llu not written\n",
                   (unsigned long long)export.written, (unsigned long long)export.there,
                   (unsigned long long)export.kept_out);
            if (export.letters > 0)
                printf("%llu dead letters are left in the segments\n", (unsigned long long)export.letters);
            close(export.out);
        }
    }
    bfr_disk_dir_close(&dir);
    return good ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}
