// SPDX-License-Identifier: Apache-2.0
// See s3_error.h. No parser of XML: elements are looked for by name, which is all that is needed, and cannot be led astray
// by nesting, entities or declarations.
#include "s3_error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *entity;
    char character;
} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

static size_t read_entity(const char *text, size_t size, char *out)
{
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        size_t length = strlen(entities[i].entity);
        if (length <= size && memcmp(text, entities[i].entity, length) == 0) {
            *out = entities[i].character;
            return length;
        }
    }
    *out = text[0];
    return 1;
}

// ASCII alone: these texts go into logs, headers and file names of dead letters.
static void copy_clean(const char *text, size_t size, char *out, size_t room)
{
    size_t length = 0;

    while (size > 0 && length + 1 < room) {
        char c;
        size_t used = read_entity(text, size, &c);
        out[length++] = (unsigned char)c < 0x20 || (unsigned char)c > 0x7E ? '?' : c;
        text += used;
        size -= used;
    }
    out[length] = '\0';
}

void bfr_s3_xml_text(const uint8_t *text, size_t size, const char *name, char *out, size_t room)
{
    char tag[64];
    int length = snprintf(tag, sizeof tag, "<%s>", name);
    const char *begin = size == 0 || length < 0 ? NULL : memmem(text, size, tag, (size_t)length);

    out[0] = '\0';
    if (begin == NULL)
        return;
    begin += length;
    size_t left = size - (size_t)(begin - (const char *)text);
    const char *end = memchr(begin, '<', left);
    if (end != NULL)
        copy_clean(begin, (size_t)(end - begin), out, room);
}

void bfr_s3_error_read(const uint8_t *text, size_t size, struct s3_error *out)
{
    bfr_s3_xml_text(text, size, "Code", out->code, sizeof out->code);
    bfr_s3_xml_text(text, size, "Message", out->message, sizeof out->message);
    bfr_s3_xml_text(text, size, "Region", out->region, sizeof out->region);
}
