// SPDX-License-Identifier: Apache-2.0
// What the sender says about its batch in X-Proxy-* fields: kept for people and metadata, never trusted for a limit. A
// missing or bad value falls back to a harmless one. Pure.
#ifndef BFR_CORE_HTTP_META_H
#define BFR_CORE_HTTP_META_H

#include "http_gate.h"

#define BFR_META_TEXT_MAX 256 // longer values count as bad

struct bfr_meta {
    const char *batch_id;     // or "unknown"
    const char *data_hint;    // or "unknown"
    const char *content_type; // or ""
    uint64_t line_count;      // or 1
    uint64_t original_bytes;  // or body_bytes
    int64_t created_ns;       // or now_ns
};

// The strings live in the gate's head, until its next feed or end.
void bfr_meta_read(struct bfr_gate *gate, uint64_t body_bytes, int64_t now_ns, struct bfr_meta *out);

// RFC 3339 section 5.6 to Unix time in ns; false when it is not a date.
bool bfr_time_parse(const char *text, int64_t *out_ns);

// "2026-03-01T12:00:00Z": `out` has 32 bytes.
void bfr_time_format(int64_t unix_ns, char *out);

#endif
