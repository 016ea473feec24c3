// SPDX-License-Identifier: Apache-2.0
// What the `dlq` commands have in common: their options, and all dead letters of a stopped daemon's spool, with files or still
// in their segments. [main]
#ifndef BFR_SPOOL_TOOL_LETTERS_H
#define BFR_SPOOL_TOOL_LETTERS_H

#include "letter_file.h"
#include "tool.h"

// What else there is to do while a daemon has the directory.
#define TOOL_DLQ_WAY_OUT "; dead letters of a running daemon are reached through its API, /api/v1/dlq"

// A command line. Texts are borrowed from it.
struct tool_request {
    const char *directory;
    struct bfr_filter filter; // a member that was not named is "*"
    bool selects;             // at least one was named
    bool json;
    bool dry_run;
    const char *id;                          // the operand; NULL: none
    const char *sinks[RECORD_CONSUMERS_MAX]; // of letters that do not say which sink buried them
    uint32_t sink_count;
};

// Options and, with `operand`, one operand. False: wrong usage; what about it is said unless it is plain.
BFR_MUST_CHECK bool bfr_tool_request_parse(int argc, char **argv, bool operand, struct tool_request *out);

// The note of a buried record, from the record and its marks. Texts are the record's.
void bfr_tool_letter_note(const struct tool_record *record, const struct found_record *found, struct letter_note *out);

static inline bool bfr_tool_is_letter(const struct found *found, const struct found_record *record)
{
    return bfr_tool_waiting(found, record) == 0;
}

#endif
