// SPDX-License-Identifier: Apache-2.0
// `spool waive`: a sink that is gone for good is waited for no longer. Each batch that waits for it gets a mark as if the sink
// had confirmed; what other sinks still want stays.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marks.h"
#include "tool.h"

struct waiver {
    const char *sink;
    uint64_t batches;
};

// The number of `sink` in the set; -1 when it is not one of them.
static int number_of(const struct found_set *set, const char *sink)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (strcmp(set->names[i], sink) == 0)
            return (int)i;
    return -1;
}

static bool waive_segment(void *arg, const struct tool_segment *segment)
{
    struct waiver *waiver = arg;
    const struct found *found = segment->found;
    uint8_t *marks = malloc((found->count + 1) * MARK_BYTES);
    size_t used = 0;
    for (size_t i = 0; marks != NULL && i < found->count; i++) {
        const struct found_record *record = &found->records[i];
        int number = number_of(&found->sets[record->set], waiver->sink);
        if (number < 0 || (bfr_tool_waiting(found, record) & UINT32_C(1) << number) == 0)
            continue;
        const struct mark mark = {.sequence = record->sequence, .consumer = (uint32_t)number, .state = MARK_PURGED};
        bfr_mark_encode(&mark, segment->file->nonce, marks + used);
        used += MARK_BYTES;
    }
    bool good = marks != NULL && (used == 0 || bfr_marks_append(segment->file, marks, used));
    if (good)
        waiver->batches += used / MARK_BYTES;
    else
        bfr_tool_complain("segment %016llx: its marks cannot be written: %s", (unsigned long long)segment->file->id,
                          strerror(errno));
    free(marks);
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
    bool good = bfr_tool_each_segment(&dir, waive_segment, &waiver);
    printf("%llu batches no longer wait for sink '%s'\n", (unsigned long long)waiver.batches, waiver.sink);
    bfr_disk_dir_close(&dir);
    return good ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}
