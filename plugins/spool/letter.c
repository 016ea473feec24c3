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

static const char *copy_into(char *place, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);
    memcpy(place, text, length);
    place[length] = '\0';
    return place;
}

// Point a text of the copied letter at the copy's own bytes.
#define COPY(copy, member)                                                                                             \
    ((copy)->letter.member = copy_into((copy)->member, sizeof(copy)->member, (copy)->letter.member))

void bfr_letter_copy(const struct bfr_letter *letter, struct letter_copy *out)
{
    out->letter = *letter;
    COPY(out, id);
    COPY(out, account);
    COPY(out, tenant);
    COPY(out, dataset);
    COPY(out, filename);
    COPY(out, first_error);
    COPY(out, last_error);
}
