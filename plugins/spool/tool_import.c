// SPDX-License-Identifier: Apache-2.0
// `spool import`: files IN/{tenant}/{dataset}/{name} into new segments, as if they had been posted. For finishing on one node
// what `export` saved from another. A file is in the spool when the line at the end says so; none is removed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define SEGMENT_BYTES  (UINT64_C(64) << 20) // what one new segment is filled up to
#define SEGMENT_ALIGN  4096u
#define FILE_BYTES_MAX (UINT64_C(4) << 30)
#define CHECKPOINT_MAX 64

// Files that wait to be written as one segment.
struct import {
    struct disk_dir dir;
    const char *sinks[RECORD_CONSUMERS_MAX];
    uint32_t sink_count;
    uint64_t next_id;
    int64_t now_ns;
    struct pending {
        struct pending *next;
        struct bfr_batch batch;
        char texts[2 * (BFR_ID_MAX + 1) + BFR_FILENAME_MAX + 1];
        uint8_t body[];
    } * first, **last;
    uint64_t pending_bytes; // in the segment
    uint64_t batches;
    uint64_t bytes;
    bool failed;
};

static uint64_t room_for(uint64_t body_bytes)
{
    return bfr_record_bytes(ENVELOPE_MAX_BYTES, body_bytes);
}

static void drop_pending(struct import *import)
{
    while (import->first != NULL) {
        struct pending *next = import->first->next;
        free(import->first);
        import->first = next;
    }
    import->last = &import->first;
    import->pending_bytes = 0;
}

static bool append(struct import *import, struct segment_file *segment, const struct pending *pending, uint64_t number)
{
    static const uint8_t zeros[RECORD_ALIGN];
    uint8_t head[RECORD_HEADER_BYTES + ENVELOPE_MAX_BYTES];
    const struct record_header header = {
        .nonce = segment->nonce, .segment_id = segment->id, .sequence = segment->id << 24 | number};
    size_t size = bfr_record_encode(&pending->batch, &header, import->sinks, import->sink_count, head, sizeof head);
    if (size == 0) {
        errno = EINVAL;
        return false;
    }
    uint64_t body = pending->batch.body_bytes;
    uint64_t whole = bfr_record_bytes((uint32_t)(size - RECORD_HEADER_BYTES), body);
    struct iovec vectors[3] = {{head, size},
                               {(void *)(uintptr_t)pending->body, (size_t)body},
                               {(void *)(uintptr_t)zeros, (size_t)(whole - size - body)}};
    bool good = bfr_segment_write(segment, vectors, 3, whole);
    segment->end_bytes += whole;
    return good;
}

// All that waits becomes one segment, which is there as a whole or not at all.
static bool write_segment(struct import *import)
{
    struct segment_file segment;
    if (import->first == NULL)
        return true;
    uint64_t bytes =
        (SEGMENT_HEADER_BYTES + import->pending_bytes + SEGMENT_ALIGN - 1) & ~(uint64_t)(SEGMENT_ALIGN - 1);
    uint64_t id = import->next_id++, batches = 0, body_bytes = 0;
    bool made = bfr_segment_create(&segment, import->dir.segments, id, 0, bytes), good = made;
    for (const struct pending *at = import->first; good && at != NULL; at = at->next) {
        good = append(import, &segment, at, batches++);
        body_bytes += at->batch.body_bytes;
    }
    good = good && bfr_segment_sync(&segment);
    int saved = errno;
    if (made)
        bfr_segment_close(&segment);
    if (made && !good)
        (void)bfr_segment_remove(import->dir.segments, id, false);
    if (good) {
        import->batches += batches;
        import->bytes += body_bytes;
    } else {
        bfr_tool_complain("%" PRIu64 " files are not imported: cannot write segment %016" PRIx64 ": %s", batches, id,
                          strerror(saved));
    }
    drop_pending(import);
    return good;
}

static bool read_body(int fd, uint8_t *out, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, out + done, size - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? EIO : errno; // it became shorter while it was read
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static const char *keep_text(char **at, const char *text)
{
    char *kept = *at;
    size_t size = strlen(text) + 1;
    memcpy(kept, text, size);
    *at += size;
    return kept;
}

// A batch as the edge would have made it of a post without headers.
static void describe(struct pending *pending, const char *tenant, const char *dataset, const char *name,
                     const struct stat *stat, int64_t now_ns)
{
    struct bfr_batch *batch = &pending->batch;
    char *at = pending->texts;
    *batch = (struct bfr_batch){.size = sizeof *batch,
                                .account = "",
                                .batch_id = "unknown",
                                .data_hint = "unknown",
                                .content_type = "",
                                .line_count = 1,
                                .original_bytes = (uint64_t)stat->st_size,
                                .created_ns = (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec,
                                .received_ns = now_ns,
                                .body_bytes = (uint64_t)stat->st_size};
    batch->tenant = keep_text(&at, tenant);
    batch->dataset = keep_text(&at, dataset);
    batch->filename = keep_text(&at, name);
    batch->crc32c = bfr_crc32c(0, pending->body, (size_t)batch->body_bytes);
    SHA256(pending->body, (size_t)batch->body_bytes, batch->stored_sha256);
    memcpy(batch->source_sha256, batch->stored_sha256, sizeof batch->source_sha256);
}

static bool import_file(struct import *import, int directory, const char *tenant, const char *dataset, const char *name)
{
    struct pending *pending = NULL;
    struct stat stat;
    bool good = false;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        goto out;
    errno = EINVAL;
    if (!S_ISREG(stat.st_mode) || stat.st_size == 0 || (uint64_t)stat.st_size > FILE_BYTES_MAX)
        goto out;
    pending = malloc(sizeof *pending + (size_t)stat.st_size);
    if (pending == NULL || !read_body(fd, pending->body, (size_t)stat.st_size))
        goto out;
    describe(pending, tenant, dataset, name, &stat, import->now_ns);
    if (import->pending_bytes + room_for(pending->batch.body_bytes) > SEGMENT_BYTES && !write_segment(import))
        import->failed = true;
    pending->next = NULL;
    *import->last = pending;
    import->last = &pending->next;
    import->pending_bytes += room_for(pending->batch.body_bytes);
    pending = NULL;
    good = true;
out:
    if (!good)
        bfr_tool_complain("'%s/%s/%s' is not imported: %s", tenant, dataset, name,
                          errno == EINVAL ? "not a regular file with something in it" : strerror(errno));
    free(pending);
    if (fd >= 0)
        close(fd);
    return good;
}

// An id as the edge takes it in a path.
static bool is_id(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(name);
    return length <= BFR_ID_MAX && name[0] != '.' && strspn(name, allowed) == length;
}

// What is in a directory and does not begin with a dot, in turn. `level` 0: tenants, 1: datasets, 2: files.
static bool walk(struct import *import, int directory, int level, const char *tenant, const char *dataset)
{
    bool good = true;
    DIR *stream = fdopendir(directory);
    if (stream == NULL) {
        bfr_tool_complain("cannot list '%s%s%s': %s", tenant, dataset[0] != '\0' ? "/" : "", dataset, strerror(errno));
        close(directory);
        return false;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        const char *name = entry->d_name;
        if (name[0] == '.')
            continue;
        if (level == 2) {
            good = bfr_tool_name_is_safe(name) && import_file(import, dirfd(stream), tenant, dataset, name) && good;
            continue;
        }
        int below = is_id(name) ? openat(dirfd(stream), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (below < 0) {
            bfr_tool_complain("'%s%s%s' is not a %s's directory; it is left out", tenant, level == 1 ? "/" : "", name,
                              level == 0 ? "tenant" : "dataset");
            good = false;
        } else {
            good = walk(import, below, level + 1, level == 0 ? name : tenant, level == 0 ? "" : name) && good;
        }
    }
    (void)closedir(stream);
    return good;
}

static bool copy_sinks(void *arg, const struct tool_segment *segment)
{
    struct import *import = arg;
    const struct found *found = segment->found;
    if (found->set_count == 0)
        return true;
    const struct found_set *set = &found->sets[found->set_count - 1];
    for (uint32_t i = 0; i < import->sink_count; i++)
        free((char *)(uintptr_t)import->sinks[i]);
    import->sink_count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        import->sinks[i] = strdup(set->names[i]);
        if (import->sinks[i] == NULL)
            return false;
        import->sink_count++;
    }
    return true;
}

// Without --sink: those that the newest batch waits for.
static bool find_sinks(struct import *import)
{
    if (import->sink_count > 0)
        return true;
    if (!bfr_tool_each_segment(&import->dir, copy_sinks, import))
        return false;
    if (import->sink_count == 0)
        bfr_tool_complain("no batch in '%s' says which sinks there are; name each with --sink", import->dir.path);
    return import->sink_count > 0;
}

// Ids go on where no earlier life has been, as the daemon does it.
static uint64_t highest_id(const struct import *import)
{
    uint64_t highest = 0, id;
    const int directories[] = {import->dir.segments, import->dir.letters};
    for (size_t i = 0; i < 2; i++) {
        int fd = openat(directories[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
        const char *suffix;
        for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
            if (!bfr_segment_name_parse(entry->d_name, &id, &suffix))
                continue;
            id = i == 0 ? id : id >> 24; // a letter is named by its sequence
            highest = id > highest ? id : highest;
        }
        if (stream != NULL)
            (void)closedir(stream);
    }
    return highest;
}

static void choose_id(struct import *import)
{
    size_t size = 0;
    char *text = bfr_disk_dir_read(import->dir.root, "checkpoint", CHECKPOINT_MAX, &size);
    uint64_t said = text != NULL ? strtoull(text, NULL, 10) : 0, next = highest_id(import) + 1;
    import->next_id = said > next && said >> 39 == 0 ? said : next;
    free(text);
}

static bool save_id(const struct import *import)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRIu64 "\n", import->next_id);
    return bfr_disk_dir_write(import->dir.root, "checkpoint", text, (size_t)size) && fsync(import->dir.root) == 0;
}

static bool run(struct import *import, const char *from)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    import->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (!find_sinks(import))
        return false;
    int fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        bfr_tool_complain("cannot open the directory '%s': %s", from, strerror(errno));
        return false;
    }
    choose_id(import);
    bool good = walk(import, fd, 0, "", "");
    good = write_segment(import) && good && !import->failed;
    // The files that are there tell the next id as well; only when all of them are gone would it be forgotten.
    if (!save_id(import))
        bfr_tool_complain("cannot write the checkpoint of '%s': %s", import->dir.path, strerror(errno));
    printf("%" PRIu64 " files imported, %" PRIu64 " bytes\n", import->batches, import->bytes);
    return good;
}

// Operands and --sink; false: wrong usage. The names are copies.
static bool parse(int argc, char **argv, struct import *import, const char *paths[2])
{
    int count = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--sink") == 0) {
            if (i + 1 == argc || import->sink_count == RECORD_CONSUMERS_MAX || argv[i + 1][0] == '\0')
                return false;
            import->sinks[import->sink_count] = strdup(argv[++i]);
            if (import->sinks[import->sink_count] == NULL)
                return false;
            import->sink_count++;
        } else if (argv[i][0] == '-' || count == 2) {
            return false;
        } else {
            paths[count++] = argv[i];
        }
    }
    return count == 2;
}

int bfr_tool_import(int argc, char **argv)
{
    struct import import = {.dir = bfr_disk_dir_closed, .sink_count = 0};
    const char *paths[2] = {NULL, NULL};
    int code = BFR_TOOL_USAGE;
    import.last = &import.first;
    if (parse(argc, argv, &import, paths)) {
        struct bfr_err err = {.size = sizeof err};
        code = BFR_TOOL_FAILED;
        if (bfr_disk_dir_open(&import.dir, paths[0], true, &err) != BFR_OK)
            bfr_tool_complain("%s", err.text);
        else if (run(&import, paths[1]))
            code = BFR_TOOL_GOOD;
    }
    drop_pending(&import);
    for (uint32_t i = 0; i < import.sink_count; i++)
        free((char *)(uintptr_t)import.sinks[i]);
    bfr_disk_dir_close(&import.dir);
    return code;
}
