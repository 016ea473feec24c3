// SPDX-License-Identifier: Apache-2.0
// One log line in the making: logfmt or JSON, bounded, always well formed however long or dirty its parts are.
#ifndef BFR_CORE_LOG_LINE_H
#define BFR_CORE_LOG_LINE_H

#include <stddef.h>

#include "log.h"

// PIPE_BUF on Linux: up to this size a write to a pipe is taken whole or not at all.
#define BFR_LOG_LINE_MAX 4096

struct bfr_log_line {
    enum bfr_log_format format;
    size_t size;
    char text[BFR_LOG_LINE_MAX];
};

// Begin a line with everything but its end. Over-long parts are cut at a character and end in "..."; fields for which
// there is no room are left out. `fields` as in bfr_log_write. [any]
void bfr_log_line_begin(struct bfr_log_line *line, enum bfr_log_format format, int64_t wall_ns, uint32_t level,
                        const char *inst, const char *message, const char *const *fields);

// Finish it, newline included. It stands for `events` events; more than one are shown as repeated=N. There is always
// room for this. [any]
void bfr_log_line_end(struct bfr_log_line *line, uint64_t events);

#endif
