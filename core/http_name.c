// SPDX-License-Identifier: Apache-2.0
// Names become file names and object keys, so whatever could leave a directory, hide from a listing or upset a terminal
// is refused here, once, for every sink.
#include "http_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bug.h"

// Length of the well-formed sequence at `text`, 0 if there is none.
static size_t sequence_size(const uint8_t *text, size_t size)
{
    static const struct {
        uint8_t low, high, length;
        uint8_t second_low, second_high; // excludes overlong forms, surrogates and what lies beyond U+10FFFF
    } forms[] = {
        {0x20, 0x7e, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
        {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
        {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].low || text[0] > forms[i].high)
            continue;
        size_t length = forms[i].length;
        if (length > size)
            return 0;
        if (length > 1 && (text[1] < forms[i].second_low || text[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < length; k++)
            if ((text[k] & 0xc0) != 0x80)
                return 0;
        return length;
    }
    return 0;
}

bool bfr_text_is_clean(const uint8_t *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        if (text[at] >= 0x20 && text[at] <= 0x7e) { // nearly all of them
            at++;
            continue;
        }
        size_t length = sequence_size(text + at, size - at);
        if (length == 0)
            return false;
        // C1 controls, U+0080 to U+009F, are as invisible as the ASCII ones.
        if (length == 2 && text[at] == 0xc2 && text[at + 1] < 0xa0)
            return false;
        at += length;
    }
    return true;
}

static bool ends_with(const char *text, size_t size, const char *tail)
{
    size_t tail_size = strlen(tail);
    return size >= tail_size && memcmp(text + size - tail_size, tail, tail_size) == 0;
}

static bool has_two_dots(const char *name, size_t size)
{
    const char *end = name + size;
    for (const char *dot = memchr(name, '.', size); dot != NULL && dot + 1 < end;
         dot = memchr(dot + 1, '.', (size_t)(end - dot - 1)))
        if (dot[1] == '.')
            return true;
    return false;
}

static bool has_four_parts(const char *name, size_t size)
{
    size_t separators = 0;
    for (size_t i = 1; i < size; i++) {
        if (name[i] != '-' || name[i - 1] != '-')
            continue;
        separators++;
        i++; // the next one begins behind this one
    }
    return separators >= 3;
}

// An id may have been given with the trailing dot that P18 drops; the sender builds names from what it was given.
static const char *skip_id(const char *at, const char *end, const char *id, bool dotted)
{
    size_t size = strlen(id);
    if ((size_t)(end - at) < size || memcmp(at, id, size) != 0)
        return NULL;
    at += size;
    if (dotted && at < end && *at == '.')
        at++;
    if (end - at < 2 || at[0] != '-' || at[1] != '-')
        return NULL;
    return at + 2;
}

// Compared as a prefix, not by splitting: ids may themselves hold "--".
static bool begins_with_ids(const struct bfr_target *target, const char *name, size_t size)
{
    const char *end = name + size;
    const char *at = skip_id(name, end, target->tenant, target->tenant_dotted);
    return at != NULL && skip_id(at, end, target->dataset, target->dataset_dotted) != NULL;
}

enum bfr_refusal bfr_name_check(const struct bfr_target *target, struct bfr_span name, char *out)
{
    const char *text = (const char *)name.data;
    size_t size = name.size;
    if (size > BFR_FILENAME_MAX || !bfr_text_is_clean(name.data, size))
        return BFR_REFUSE_FILENAME;
    if (memchr(text, '/', size) != NULL || memchr(text, '\\', size) != NULL || has_two_dots(text, size))
        return BFR_REFUSE_FILENAME;
    if (has_four_parts(text, size) && !begins_with_ids(target, text, size))
        return BFR_REFUSE_FILENAME_IDS;

    char full[BFR_FILENAME_MAX + sizeof ".gz" + 1]; // "--" is one byte longer than the "." it replaces
    memcpy(full, text, size);
    if (!ends_with(text, size, ".gz")) {
        memcpy(full + size, ".gz", sizeof ".gz");
        size += strlen(".gz");
        if (has_two_dots(full, size)) // once more: completing "a." makes "a..gz"
            return BFR_REFUSE_FILENAME;
    }
    if (ends_with(full, size, ".ndjson.gz")) {
        size -= strlen(".ndjson.gz");
        memcpy(full + size, "--ndjson.gz", sizeof "--ndjson.gz");
        size += strlen("--ndjson.gz");
    }
    if (size > BFR_FILENAME_MAX)
        return BFR_REFUSE_FILENAME;
    memcpy(out, full, size);
    out[size] = '\0';
    return BFR_REFUSE_NONE;
}

static bool fit_for_name(const char *hint)
{
    size_t size = strspn(hint, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return size > 0 && size <= 40 && hint[size] == '\0';
}

void bfr_name_make(const struct bfr_target *target, int64_t unix_ns, const char *hint, char *out)
{
    const char *tail = hint != NULL && fit_for_name(hint) ? hint : "unknown";
    int size =
        snprintf(out, BFR_NAME_ROOM, "%s--%s--%019" PRId64 "--%s.gz", target->tenant, target->dataset, unix_ns, tail);
    bfr_must(size > 0 && size < BFR_NAME_ROOM); // 64 + 64 + 20 + 40 and the separators
}
