// SPDX-License-Identifier: Apache-2.0
// The `spool` commands: work on the spool of a daemon that is not running. Shared by the files tool_*.c. One thread, standard
// output for what was asked for, standard error for what went wrong.
#ifndef BFR_SPOOL_TOOL_H
#define BFR_SPOOL_TOOL_H

#include <bfr/tool.h>

#include "disk_dir.h"
#include "segment_load.h"

#define TOOL_COUNT 5
extern const struct bfr_tool bfr_spool_tools[TOOL_COUNT];

int bfr_tool_ls(int argc, char **argv);
int bfr_tool_verify(int argc, char **argv);
int bfr_tool_export(int argc, char **argv);
int bfr_tool_import(int argc, char **argv);
int bfr_tool_waive(int argc, char **argv);

// One line on standard error: "bytefreezer-receiver: ...".
void bfr_tool_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Are there exactly `count` operands, and no options?
bool bfr_tool_operands(int argc, char **argv, int count);

// Open and lock the spool; complains and returns false when there is none, or a daemon has it.
BFR_MUST_CHECK bool bfr_tool_open(struct disk_dir *dir, const char *path);

// The ids of all segments, rising; *out_count of them, to be freed. NULL with a complaint.
uint64_t *bfr_tool_segments(const struct disk_dir *dir, size_t *out_count);

// What a visitor of segments gets. `found` lists what is not settled, from the records themselves.
struct tool_segment {
    const struct disk_dir *dir;
    struct segment_file *file;
    const struct found *found;
    uint64_t gap_bytes; // damaged
    uint64_t torn_bytes;
    uint64_t gaps;
};

// Visit every segment; false when one could not be read, which has been said. A file between two lives is passed over.
BFR_MUST_CHECK bool bfr_tool_each_segment(const struct disk_dir *dir,
                                          bool (*visit)(void *arg, const struct tool_segment *segment), void *arg);

// A record with its envelope opened and its body read and checked. NULL with a complaint. Free it.
struct tool_record {
    struct bfr_batch batch; // without spans
    const uint8_t *body;
    const char *consumers[RECORD_CONSUMERS_MAX];
    uint32_t consumer_count;
    char texts[];
};
struct tool_record *bfr_tool_read(const struct tool_segment *segment, const struct found_record *record);

// Consumers that neither confirmed nor buried it.
static inline uint32_t bfr_tool_waiting(const struct found *found, const struct found_record *record)
{
    uint32_t every = (uint32_t)((UINT64_C(1) << found->sets[record->set].count) - 1);
    return every & ~(record->confirmed | record->buried);
}

// Fit to be one part of a path: not empty, no slash, no control character, not "." or "..".
bool bfr_tool_name_is_safe(const char *name);

#endif
