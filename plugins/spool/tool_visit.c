// SPDX-License-Identifier: Apache-2.0
// Every segment of a spool for the commands, in order, each with what in it is not settled and counts.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "letter_file.h"
#include "tool.h"

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

// Sequences, rising.
struct numbers {
    uint64_t *list;
    size_t count;
};

static bool contains(const struct numbers *numbers, uint64_t sequence)
{
    return numbers->count > 0 &&
           bsearch(&sequence, numbers->list, numbers->count, sizeof sequence, compare_ids) != NULL;
}

// What says of a record that it counts for nothing, see FORMAT.md.
struct rules {
    struct numbers letters; // those with files
    struct numbers moving;  // what is not settled in segments that were being emptied
};

// A visit of one segment.
struct visit {
    struct tool_segment segment;
    const struct rules *rules;
    bool emptying; // it has a {id}.move
    uint64_t *ghosts;
    size_t ghost_count;
    bool short_of_memory;
};

static bool is_ghost(const struct visit *visit, uint64_t sequence, uint64_t letter)
{
    const struct rules *rules = visit->rules;
    return contains(&rules->letters, sequence) || contains(&rules->letters, letter) ||
           (!visit->emptying && contains(&rules->moving, sequence));
}

static void note_record(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                        bool settled)
{
    struct visit *visit = arg;
    (void)offset;
    if (settled || !is_ghost(visit, header->sequence, bfr_record_letter(envelope, header->envelope_bytes)))
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
static bool list_letters(const struct disk_dir *dir, struct numbers *out)
{
    if (dir->letters < 0)
        return true;
    out->list = bfr_letter_list(dir->letters, false, &out->count);
    if (out->list == NULL)
        bfr_tool_complain("cannot list the dead letters in '%s': %s", dir->path, strerror(errno));
    return out->list != NULL;
}

static bool add_moving(void *arg, const struct tool_segment *segment)
{
    struct numbers *moving = arg;
    const struct found *found = segment->found;
    if (found->count == 0)
        return true;
    uint64_t *grown = reallocarray(moving->list, moving->count + found->count, sizeof *grown);
    if (grown == NULL) {
        bfr_tool_complain("out of memory");
        return false;
    }
    moving->list = grown;
    for (size_t i = 0; i < found->count; i++)
        grown[moving->count++] = found->records[i].sequence;
    return true;
}

// Visit those of the segments that are being emptied, or all of them.
static bool visit_segments(const struct disk_dir *dir, const struct numbers *ids, const struct rules *rules,
                           bool emptying_only, bool (*call)(void *arg, const struct tool_segment *segment), void *arg)
{
    bool good = true;
    for (size_t i = 0; i < ids->count; i++) {
        struct visit one = {.rules = rules, .emptying = bfr_segment_file_exists(dir->segments, ids->list[i], "move")};
        if (!emptying_only || one.emptying)
            good = visit_segment(dir, ids->list[i], &one, call, arg) && good;
        free(one.ghosts);
    }
    return good;
}

bool bfr_tool_each_segment(const struct disk_dir *dir, bool (*visit)(void *arg, const struct tool_segment *segment),
                           void *arg)
{
    struct rules rules = {.letters = {NULL, 0}};
    struct numbers ids = {NULL, 0}, moving = {NULL, 0};
    bool good = list_letters(dir, &rules.letters) && (ids.list = bfr_tool_segments(dir, &ids.count)) != NULL &&
                visit_segments(dir, &ids, &rules, true, add_moving, &moving);
    if (moving.count > 1)
        qsort(moving.list, moving.count, sizeof *moving.list, compare_ids);
    rules.moving = moving;
    if (ids.list != NULL)
        good = visit_segments(dir, &ids, &rules, false, visit, arg) && good;
    free(moving.list);
    free(ids.list);
    free(rules.letters.list);
    return good;
}
