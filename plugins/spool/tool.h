// SPDX-License-Identifier: Apache-2.0
// The `spool` and `dlq` commands: work on the spool of a daemon that is not running. Shared by the files tool_*.c. One thread, standard
// output for what was asked for, standard error for what went wrong.
#ifndef BFR_SPOOL_TOOL_H
#define BFR_SPOOL_TOOL_H

#include <bfr/tool.h>

#include "disk_dir.h"
#include "segment_load.h"

#define TOOL_COUNT 9
extern const struct bfr_tool bfr_spool_tools[TOOL_COUNT];

int bfr_tool_ls(int argc, char **argv);
int bfr_tool_verify(int argc, char **argv);
int bfr_tool_export(int argc, char **argv);
int bfr_tool_import(int argc, char **argv);
int bfr_tool_waive(int argc, char **argv);
int bfr_tool_dlq_ls(int argc, char **argv);
int bfr_tool_dlq_show(int argc, char **argv);
int bfr_tool_dlq_retry(int argc, char **argv);
int bfr_tool_dlq_purge(int argc, char **argv);

// One line on standard error: "bytefreezer-receiver: ...".
void bfr_tool_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Are there exactly `count` operands, and no options?
bool bfr_tool_operands(int argc, char **argv, int count);

// Open and lock the spool; complains and returns false when there is none, or a daemon has it. `way_out`: what else there is
// to do then, or "".
BFR_MUST_CHECK bool bfr_tool_open(struct disk_dir *dir, const char *path, const char *way_out);
// The same to look at it alone, which works on a disk that cannot be written, too.
BFR_MUST_CHECK bool bfr_tool_open_reading(struct disk_dir *dir, const char *path, const char *way_out);

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
    // Records that count for nothing, because the letter they were made for, or made from, has files, or because they are copies
    // of what is still in a segment that was being emptied. Left out of `found`.
    const uint64_t *ghosts;
    size_t ghost_count;
};

// Visit every segment; false when one could not be read, which has been said. A file between two lives is passed over.
BFR_MUST_CHECK bool bfr_tool_each_segment(const struct disk_dir *dir,
                                          bool (*visit)(void *arg, const struct tool_segment *segment), void *arg);

// Ids go on where no earlier life has been, as the daemon does it: the next one; and saying so for later.
uint64_t bfr_tool_next_id(const struct disk_dir *dir);
BFR_MUST_CHECK bool bfr_tool_save_id(const struct disk_dir *dir, uint64_t next_id);

// A record to be written. In a list; the owner keeps what it points at.
struct tool_draft {
    struct tool_draft *next;
    const struct bfr_batch *batch; // spans are not looked at
    const uint8_t *body;
    const char *const *sinks;
    uint32_t sink_count;
    uint64_t letter; // the dead letter that it takes back; 0: none
};
// What it takes in a segment.
uint64_t bfr_tool_draft_bytes(const struct tool_draft *draft);
// All of the list as segment `id`, which is there as a whole and durable, or not at all: false with errno.
BFR_MUST_CHECK bool bfr_tool_write_segment(const struct disk_dir *dir, uint64_t id, const struct tool_draft *first);

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
