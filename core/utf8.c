// SPDX-License-Identifier: Apache-2.0
// Strict reading of UTF-8. Pure: no state, no allocation, never looks past the NUL.
#include "utf8.h"

// What a lead byte announces. `lowest` is the smallest code point that needs this length: anything below it is an
// overlong form, the classic way to smuggle a quote or a slash past a check.
struct lead {
    uint8_t mask, bits;
    size_t bytes;
    uint32_t lowest;
};

static const struct lead leads[] = {
    {0x80, 0x00, 1, 0x0},
    {0xE0, 0xC0, 2, 0x80},
    {0xF0, 0xE0, 3, 0x800},
    {0xF8, 0xF0, 4, 0x10000},
};

static const struct lead *find_lead(uint8_t byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        if ((byte & leads[i].mask) == leads[i].bits)
            return &leads[i];
    }
    return NULL;
}

size_t bfr_utf8_read(const char *text, uint32_t *out_code)
{
    const uint8_t *bytes = (const uint8_t *)text;
    const struct lead *lead = find_lead(bytes[0]);
    if (lead == NULL)
        return 0;
    uint32_t code = bytes[0] & (uint8_t)~lead->mask;
    for (size_t i = 1; i < lead->bytes; i++) {
        if ((bytes[i] & 0xC0) != 0x80) // the NUL, too, ends up here
            return 0;
        code = code << 6 | (bytes[i] & 0x3F);
    }
    if (code < lead->lowest || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    *out_code = code;
    return lead->bytes;
}
