// SPDX-License-Identifier: Apache-2.0
// A line of Content-Digest: what is accepted is accepted again with another member in front or behind, and says the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "http_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(const char *before, const uint8_t *data, size_t size, const char *behind,
                  struct bfr_stated_digest *out)
{
    size_t lead = strlen(before);
    size_t tail = strlen(behind);
    uint8_t *text = malloc(lead + size + tail + 1); // of exactly this size, for the sanitizer
    bfr_must(text != NULL);
    memcpy(text, before, lead);
    memcpy(text + lead, data, size);
    memcpy(text + lead + size, behind, tail);
    *out = (struct bfr_stated_digest){0};
    bool good = bfr_digest_parse((struct bfr_span){text, lead + size + tail}, out);
    free(text);
    return good;
}

static void must_equal(const struct bfr_stated_digest *a, const struct bfr_stated_digest *b)
{
    bfr_must(a->stated == b->stated && memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bfr_stated_digest alone;
    struct bfr_stated_digest other;
    bool good = parse("", data, size, "", &alone);
    if (size == 0)
        return 0;
    bfr_must(parse("md5=:AAAA:, ", data, size, "", &other) == good);
    if (good)
        must_equal(&alone, &other);
    // Behind an unfinished string or parameter the comma would be part of it: only what is good stays what it is.
    if (good) {
        bfr_must(parse("", data, size, " , md5=:AAAA:", &other));
        must_equal(&alone, &other);
        bfr_must(!parse("", data, size, ",", &other));
    }
    return 0;
}
