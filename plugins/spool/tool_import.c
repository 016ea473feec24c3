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

#include "file_read.h"
#include "tool.h"

#define SEGMENT_BYTES  (UINT64_C(64) << 20) // what one new segment is filled up to
#define FILE_BYTES_MAX (UINT64_C(4) << 30)

// A file that waits to be written.
struct pending {
    struct tool_draft draft; // first, so that a list of these is one of drafts
    struct bfr_batch batch;
    char texts[2 * (BFR_ID_MAX + 1) + BFR_FILENAME_MAX + 1];
    uint8_t body[];
};

// Files that wait to be written as one segment.
struct import {
    struct disk_dir dir;
    const char *sinks[RECORD_CONSUMERS_MAX];
    uint32_t sink_count;
    uint64_t next_id;
    int64_t now_ns;
    struct tool_draft *first, **last; // of pending
    uint64_t pending_bytes;           // in the segment
    uint64_t batches;
    uint64_t bytes;
    bool failed;
};

static void drop_pending(struct import *import)
{
    while (import->first != NULL) {
        struct tool_draft *next = import->first->next;
        free(import->first); // the pending one that it is the first member of
        import->first = next;
    }
    import->last = &import->first;
    import->pending_bytes = 0;
}

// All that waits becomes one segment.
static bool write_segment(struct import *import)
{
    uint64_t id = import->next_id, batches = 0, bytes = 0;
    if (import->first == NULL)
        return true;
    for (const struct tool_draft *at = import->first; at != NULL; at = at->next) {
        batches++;
        bytes += at->batch->body_bytes;
    }
    import->next_id++;
    bool good = bfr_tool_write_segment(&import->dir, id, import->first);
    if (good) {
        import->batches += batches;
        import->bytes += bytes;
    } else {
        bfr_tool_complain("%" PRIu64 " files are not imported: cannot write segment %016" PRIx64 ": %s", batches, id,
                          strerror(errno));
    }
    drop_pending(import);
    return good;
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
    if (pending == NULL || !bfr_file_read_whole(fd, pending->body, (size_t)stat.st_size))
        goto out;
    describe(pending, tenant, dataset, name, &stat, import->now_ns);
    pending->draft = (struct tool_draft){
        .batch = &pending->batch, .body = pending->body, .sinks = import->sinks, .sink_count = import->sink_count};
    uint64_t bytes = bfr_tool_draft_bytes(&pending->draft);
    if (import->pending_bytes + bytes > SEGMENT_BYTES && !write_segment(import))
        import->failed = true;
    *import->last = &pending->draft;
    import->last = &pending->draft.next;
    import->pending_bytes += bytes;
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
    import->next_id = bfr_tool_next_id(&import->dir);
    bool good = walk(import, fd, 0, "", "");
    good = write_segment(import) && good && !import->failed;
    // The files that are there tell the next id as well; only when all of them are gone would it be forgotten.
    if (!bfr_tool_save_id(&import->dir, import->next_id))
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
