// SPDX-License-Identifier: Apache-2.0
// What the `spool` commands have in common: the lock, the segments in their order, a record read back.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "letter_file.h"
#include "tool.h"

void bfr_tool_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bytefreezer-receiver: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

bool bfr_tool_operands(int argc, char **argv, int count)
{
    for (int i = 0; i < argc; i++)
        if (argv[i][0] == '-')
            return false;
    return argc == count;
}

static bool report_open(uint32_t status, const struct bfr_err *err, const char *way_out)
{
    if (status != BFR_OK)
        bfr_tool_complain("%s%s", err->text, status == DISK_DIR_IN_USE ? way_out : "");
    return status == BFR_OK;
}

bool bfr_tool_open(struct disk_dir *dir, const char *path, const char *way_out)
{
    struct bfr_err err = {.size = sizeof err};
    return report_open(bfr_disk_dir_open(dir, path, false, &err), &err, way_out);
}

bool bfr_tool_open_reading(struct disk_dir *dir, const char *path, const char *way_out)
{
    struct bfr_err err = {.size = sizeof err};
    if (!report_open(bfr_disk_dir_open_reading(dir, path, &err), &err, way_out))
        return false;
    if (dir->lock_error != 0)
        bfr_tool_complain(
            "the spool in '%s' cannot be locked: %s; it is read all the same, so make sure that no daemon "
            "works there meanwhile",
            path, strerror(dir->lock_error));
    return true;
}

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

// The id of the segment called `name`; 0 when it is no segment.
static uint64_t segment_id(const char *name)
{
    uint64_t id;
    const char *suffix;
    return bfr_segment_name_parse(name, &id, &suffix) && strcmp(suffix, "seg") == 0 ? id : 0;
}

uint64_t *bfr_tool_segments(const struct disk_dir *dir, size_t *out_count)
{
    size_t room = 64, count = 0;
    uint64_t *ids = malloc(room * sizeof *ids);
    if (dir->segments < 0) { // a part that is missing holds nothing
        *out_count = 0;
        return ids;
    }
    int fd = openat(dir->segments, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; ids != NULL && stream != NULL && (entry = readdir(stream)) != NULL;) {
        uint64_t id = segment_id(entry->d_name);
        if (id == 0)
            continue;
        if (count == room) {
            uint64_t *larger = reallocarray(ids, room *= 2, sizeof *ids);
            if (larger == NULL)
                free(ids);
            ids = larger;
        }
        if (ids != NULL)
            ids[count++] = id;
    }
    if (ids == NULL || stream == NULL) {
        bfr_tool_complain("cannot list the segments in '%s': %s", dir->path, strerror(errno));
        free(ids);
        ids = NULL;
    } else {
        qsort(ids, count, sizeof *ids, compare_ids);
    }
    if (stream != NULL)
        (void)closedir(stream);
    else if (fd >= 0)
        close(fd);
    *out_count = count;
    return ids;
}

// A visit of one segment. The letters are those with files, rising.
struct visit {
    struct tool_segment segment;
    const uint64_t *letters;
    size_t letter_count;
    uint64_t *ghosts;
    size_t ghost_count;
    bool short_of_memory;
};

static bool has_letter(const struct visit *visit, uint64_t sequence)
{
    return visit->letter_count > 0 &&
           bsearch(&sequence, visit->letters, visit->letter_count, sizeof sequence, compare_ids) != NULL;
}

// FORMAT.md, envelope: records that count for nothing while a letter has files.
static void note_record(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                        bool settled)
{
    struct visit *visit = arg;
    (void)offset;
    if (settled || (!has_letter(visit, header->sequence) &&
                    !has_letter(visit, bfr_record_letter(envelope, header->envelope_bytes))))
        return;
    uint64_t *ghosts = reallocarray(visit->ghosts, visit->ghost_count + 1, sizeof *ghosts);
    if (ghosts == NULL) {
        visit->short_of_memory = true;
        return;
    }
    visit->ghosts = ghosts;
    ghosts[visit->ghost_count++] = header->sequence;
}

static void leave_out_ghosts(const struct visit *visit, struct found *found)
{
    size_t kept = 0, ghost = 0; // both rise with the offset
    for (size_t i = 0; i < found->count; i++) {
        if (ghost < visit->ghost_count && visit->ghosts[ghost] == found->records[i].sequence)
            ghost++;
        else
            found->records[kept++] = found->records[i];
    }
    found->count = kept;
}

static void note_gap(void *arg, uint64_t from, uint64_t to, bool torn)
{
    struct tool_segment *segment = &((struct visit *)arg)->segment;
    if (torn) {
        segment->torn_bytes += to - from;
    } else {
        segment->gap_bytes += to - from;
        segment->gaps++;
    }
}

static bool open_segment(const struct disk_dir *dir, uint64_t id, struct segment_file *file)
{
    return dir->reading ? bfr_segment_open_reading(file, dir->segments, id) : bfr_segment_open(file, dir->segments, id);
}

static bool visit_segment(const struct disk_dir *dir, uint64_t id, struct visit *visit,
                          bool (*call)(void *arg, const struct tool_segment *segment), void *arg)
{
    struct segment_file file;
    struct found found;
    if (!open_segment(dir, id, &file)) {
        if (errno == ESTALE)
            return true;
        bfr_tool_complain("segment %016llx cannot be read: %s", (unsigned long long)id,
                          errno == 0 ? "its header is gone" : strerror(errno));
        return false;
    }
    visit->segment = (struct tool_segment){.dir = dir, .file = &file, .found = &found};
    const struct found_events events = {note_gap, note_record, visit};
    bool good = bfr_segment_load(&file, -1, &events, &found);
    if (good && visit->short_of_memory) {
        bfr_found_free(&found);
        errno = ENOMEM;
        good = false;
    }
    if (good) {
        leave_out_ghosts(visit, &found);
        visit->segment.ghosts = visit->ghosts;
        visit->segment.ghost_count = visit->ghost_count;
        good = call(arg, &visit->segment);
        bfr_found_free(&found);
    } else {
        bfr_tool_complain("segment %016llx cannot be read: %s", (unsigned long long)id, strerror(errno));
    }
    bfr_segment_close(&file);
    return good;
}

// The letters with files; a spool without that part has none. False when they cannot be listed.
static bool list_letters(const struct disk_dir *dir, uint64_t **out, size_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    if (dir->letters < 0)
        return true;
    *out = bfr_letter_list(dir->letters, false, out_count);
    if (*out == NULL)
        bfr_tool_complain("cannot list the dead letters in '%s': %s", dir->path, strerror(errno));
    return *out != NULL;
}

bool bfr_tool_each_segment(const struct disk_dir *dir, bool (*visit)(void *arg, const struct tool_segment *segment),
                           void *arg)
{
    size_t count = 0, letter_count;
    uint64_t *letters, *ids = NULL;
    bool good = list_letters(dir, &letters, &letter_count) && (ids = bfr_tool_segments(dir, &count)) != NULL;
    for (size_t i = 0; ids != NULL && i < count; i++) {
        struct visit one = {.letters = letters, .letter_count = letter_count};
        good = visit_segment(dir, ids[i], &one, visit, arg) && good;
        free(one.ghosts);
    }
    free(ids);
    free(letters);
    return good;
}

struct tool_record *bfr_tool_read(const struct tool_segment *segment, const struct found_record *record)
{
    size_t head = RECORD_HEADER_BYTES + (size_t)record->envelope_bytes;
    size_t size = head + (size_t)record->body_bytes;
    // Texts first, then the record as it stands.
    struct tool_record *out = malloc(sizeof *out + record->envelope_bytes + 16 + size);
    if (out == NULL) {
        bfr_tool_complain("out of memory for a record of %zu bytes", size);
        return NULL;
    }
    uint8_t *bytes = (uint8_t *)out->texts + record->envelope_bytes + 16;
    struct record_header header;
    bool good = bfr_segment_read(segment->file, bytes, size, record->offset) &&
                bfr_record_header_decode(bytes, segment->file->id, segment->file->nonce, &header) &&
                header.sequence == record->sequence && header.envelope_bytes == record->envelope_bytes &&
                header.body_bytes == record->body_bytes && bfr_record_check(bytes, &header) &&
                bfr_crc32c(0, bytes + head, size - head) == header.body_crc32c &&
                bfr_record_envelope_decode(bytes + RECORD_HEADER_BYTES, &header, &out->batch, out->consumers,
                                           &out->consumer_count, out->texts);
    if (good) {
        out->body = bytes + head;
        return out;
    }
    bfr_tool_complain("record %016llx cannot be read back", (unsigned long long)record->sequence);
    free(out);
    return NULL;
}

bool bfr_tool_name_is_safe(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == '/' || *at == '\\')
            return false;
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strlen(name) <= BFR_FILENAME_MAX;
}
