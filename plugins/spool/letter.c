// SPDX-License-Identifier: Apache-2.0
// See letter.h. Pure.
#include "letter.h"

#include <string.h>

struct bfr_letter bfr_letter_of(const struct bfr_batch *batch, const char *id)
{
    struct bfr_letter letter = {
        .size = sizeof letter,
        .id = id,
        .account = batch->account,
        .tenant = batch->tenant,
        .dataset = batch->dataset,
        .filename = batch->filename,
        .body_bytes = batch->body_bytes,
        .line_count = batch->line_count,
        .original_bytes = batch->original_bytes,
        .created_ns = batch->created_ns,
        .first_error = "",
        .last_error = "",
    };
    memcpy(letter.stored_sha256, batch->stored_sha256, sizeof letter.stored_sha256);
    memcpy(letter.source_sha256, batch->source_sha256, sizeof letter.source_sha256);
    return letter;
}
