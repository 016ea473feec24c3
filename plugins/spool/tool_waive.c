// SPDX-License-Identifier: Apache-2.0
// `spool waive`: a sink that is gone for good is waited for no longer. Each batch that waits for it gets a mark as if the sink
// had confirmed; what other sinks still want stays. What no sink has ever confirmed counts as purged then, and its key is free:
// whoever sends it again is not told that it is here.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marks.h"
#include "recent_log.h"
#include "tool.h"

struct waiver {
    const char *sink;
    uint64_t batches;
    struct recent_log recent;
};

// The number of `sink` in the set; -1 when it is not one of them.
static int number_of(const struct found_set *set, const char *sink)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (strcmp(set->names[i], sink) == 0)
            return (int)i;
    return -1;
}

// Does it end with this sink, and nobody has it?
static bool is_purged(const struct found *found, const struct found_record *record, int number)
{
    return bfr_tool_waiting(found, record) == UINT32_C(1) << number && record->confirmed == 0 && record->buried == 0;
}

static bool release_key(struct waiver *waiver, const struct tool_segment *segment, const struct found_record *found)
{
    struct tool_record *record = bfr_tool_read(segment, found);
    if (record == NULL)
        return true; // said; nobody can read it, and its key runs out with dedup.window
    bool good = bfr_recent_forget(&waiver->recent, &record->batch);
    free(record);
    return good;
}

// The marks of one segment's records into `marks`; returns their bytes. *out_good: every key that goes with them is released.
static size_t collect_marks(struct waiver *waiver, const struct tool_segment *segment, uint8_t *marks, bool *out_good)
{
    const struct found *found = segment->found;
    size_t used = 0;
    *out_good = true;
    for (size_t i = 0; i < found->count; i++) {
        const struct found_record *record = &found->records[i];
        int number = number_of(&found->sets[record->set], waiver->sink);
        if (number < 0 || (bfr_tool_waiting(found, record) & UINT32_C(1) << number) == 0)
            continue;
        if (is_purged(found, record, number))
            *out_good = release_key(waiver, segment, record) && *out_good;
        const struct mark mark = {.sequence = record->sequence, .consumer = (uint32_t)number, .state = MARK_PURGED};
        bfr_mark_encode(&mark, segment->file->nonce, marks + used);
        used += MARK_BYTES;
    }
    return used;
}

// Keys first: a batch that is still held under a free key may be stored twice, one that is gone under a known key is lost.
static bool waive_segment(void *arg, const struct tool_segment *segment)
{
    struct waiver *waiver = arg;
    uint8_t *marks = malloc((segment->found->count + 1) * MARK_BYTES);
    bool good = marks != NULL;
    size_t used = good ? collect_marks(waiver, segment, marks, &good) : 0;
    good = good && bfr_recent_sync(&waiver->recent);
    if (!good)
        bfr_tool_complain("segment %016llx: its batches wait on, as their keys cannot be released: %s",
                          (unsigned long long)segment->file->id, strerror(errno));
    else if (used > 0 && !bfr_marks_append(segment->file, marks, used)) {
        bfr_tool_complain("segment %016llx: its marks cannot be written: %s", (unsigned long long)segment->file->id,
                          strerror(errno));
        good = false;
    }
    waiver->batches += good ? used / MARK_BYTES : 0;
    free(marks);
    return good;
}

static bool waive_all(struct waiver *waiver, const struct disk_dir *dir, const char *path)
{
    bfr_recent_init(&waiver->recent);
    bool good = bfr_recent_open(&waiver->recent, dir->root);
    if (!good)
        bfr_tool_complain("cannot open recent.log of '%s': %s", path, strerror(errno));
    good = good && bfr_tool_each_segment(dir, waive_segment, waiver);
    bfr_recent_close(&waiver->recent);
    return good;
}

int bfr_tool_waive(int argc, char **argv)
{
    struct disk_dir dir;
    struct waiver waiver = {.sink = NULL};
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--sink") == 0 && i + 1 < argc && waiver.sink == NULL)
            waiver.sink = argv[++i];
        else if (argv[i][0] != '-' && path == NULL)
            path = argv[i];
        else
            return BFR_TOOL_USAGE;
    }
    if (path == NULL || waiver.sink == NULL)
        return BFR_TOOL_USAGE;
    if (!bfr_tool_open(&dir, path, ""))
        return BFR_TOOL_FAILED;
    bool good = waive_all(&waiver, &dir, path);
    printf("%llu batches no longer wait for sink '%s'\n", (unsigned long long)waiver.batches, waiver.sink);
    bfr_disk_dir_close(&dir);
    return good ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}
