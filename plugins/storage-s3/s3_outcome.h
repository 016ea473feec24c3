// SPDX-License-Identifier: Apache-2.0
// What an answer of the store means: a table, by error code first and by status else. Pure data.
#ifndef BFR_S3_OUTCOME_H
#define BFR_S3_OUTCOME_H

#include <bfr/status.h>

// What the sink itself does before it reports. Zero is never valid.
enum s3_action {
    S3_ACTION_REPORT = 1,        // nothing: the outcome is the host's to handle
    S3_ACTION_COMPARE = 2,       // something stands under the key: look at it
    S3_ACTION_REGION = 3,        // signed for another region than the bucket's
    S3_ACTION_CLOCK = 4,         // signed with a wrong time
    S3_ACTION_CREDENTIALS = 5,   // signed with keys that are no longer good
    S3_ACTION_DAMAGE = 6,        // the bytes that arrived are not those of the hash
    S3_ACTION_UNCONDITIONAL = 7, // the store does not know the condition
    S3_ACTION_BUCKET = 8,        // the bucket is not there
    S3_ACTION_DENIED = 9         // not allowed; some stores say so of keys that are gone, too
};

struct s3_meaning {
    const char *code; // of the error document; NULL: the row is for a status
    uint16_t status;  // with code NULL; 0 ends the table and means any other
    uint32_t outcome; // BFR_RETRY or BFR_REJECT
    uint32_t flags;   // BFR_OUTAGE
    uint32_t action;  // enum s3_action
    const char *way_out;
};

// `code` may be empty. Never NULL.
const struct s3_meaning *bfr_s3_meaning(uint32_t status, const char *code);

// For the tests: every row, the last one with status 0.
const struct s3_meaning *bfr_s3_meanings(size_t *out_count);

#endif
