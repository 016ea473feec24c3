// SPDX-License-Identifier: Apache-2.0
// The previous product's {name}.meta, in any of its forms. Knows no queue.
#ifndef BFR_SPOOL_ADOPT_META_H
#define BFR_SPOOL_ADOPT_META_H

#include <stdbool.h>
#include <stdint.h>

#define ADOPT_TEXT_SIZE 256

// What was found; zero or empty: not said, or not believable.
struct adopt_meta {
    uint64_t line_count;
    uint64_t original_bytes;
    int64_t created_ns;
    uint32_t retry_count;
    int64_t failed_ns;
    char data_hint[ADOPT_TEXT_SIZE];
    char batch_id[ADOPT_TEXT_SIZE];
    char failure_reason[ADOPT_TEXT_SIZE];
};

// Read `name`; false when there is none or it is torn: *out is empty then.
bool bfr_adopt_meta_read(int directory, const char *name, struct adopt_meta *out);

// Unix time in ns of an RFC 3339 text; 0 when it is none, or before 1970.
int64_t bfr_adopt_time(const char *text);

#endif
