// SPDX-License-Identifier: Apache-2.0
// For tests that make a batch: an envelope with every text and figure filled.
#ifndef TEST_BATCH_SAMPLE_H
#define TEST_BATCH_SAMPLE_H

#include <bfr/batch.h>

static inline struct bfr_batch batch_sample(const struct bfr_span *spans, uint32_t span_count)
{
    return (struct bfr_batch){.size = sizeof(struct bfr_batch),
                              .flags = BFR_BATCH_NAME_GENERATED,
                              .account = "",
                              .tenant = "acme",
                              .dataset = "fw",
                              .filename = "a.ndjson.gz",
                              .batch_id = "unknown",
                              .data_hint = "ndjson",
                              .content_type = "application/gzip",
                              .line_count = 7,
                              .original_bytes = 99,
                              .created_ns = -5,
                              .received_ns = 12,
                              .body_bytes = 6,
                              .stored_sha256 = {1, 2, 3},
                              .source_sha256 = {4, 5, 6},
                              .crc32c = 0xdeadbeef,
                              .span_count = span_count,
                              .spans = spans};
}

#endif
