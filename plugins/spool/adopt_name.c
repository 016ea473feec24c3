// SPDX-License-Identifier: Apache-2.0
// See adopt_name.h. The rules are the edge's (a name becomes a file name and an object key), less one: a name whose ids are not
// those of its directory was accepted once, so it is not refused now.
#include "adopt_name.h"

#include <string.h>

#include <jansson.h>

bool bfr_adopt_id(const char *name, char out[BFR_ID_MAX + 1])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(name);
    if (size > 0 && name[size - 1] == '.')
        size--;
    if (size == 0 || size > BFR_ID_MAX || name[0] == '.' || strspn(name, allowed) < size)
        return false;
    memcpy(out, name, size);
    out[size] = '\0';
    return true;
}

bool bfr_adopt_text_is_clean(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
            return false;
    json_t *value = json_string(text); // checks UTF-8
    json_decref(value);
    return value != NULL;
}

static bool ends_with(const char *text, size_t size, const char *tail)
{
    size_t tail_size = strlen(tail);
    return size >= tail_size && memcmp(text + size - tail_size, tail, tail_size) == 0;
}

bool bfr_adopt_filename(const char *name, char out[BFR_FILENAME_MAX + 1])
{
    char full[BFR_FILENAME_MAX + sizeof ".gz" + 1]; // "--" is one byte longer than the "." it replaces
    size_t size = strlen(name);
    if (size == 0 || size > BFR_FILENAME_MAX || !bfr_adopt_text_is_clean(name) || strpbrk(name, "/\\") != NULL)
        return false;
    memcpy(full, name, size + 1);
    if (!ends_with(full, size, ".gz")) {
        memcpy(full + size, ".gz", sizeof ".gz");
        size += strlen(".gz");
    }
    if (ends_with(full, size, ".ndjson.gz")) {
        size -= strlen(".ndjson.gz");
        memcpy(full + size, "--ndjson.gz", sizeof "--ndjson.gz");
        size += strlen("--ndjson.gz");
    }
    if (size > BFR_FILENAME_MAX || strstr(full, "..") != NULL)
        return false;
    memcpy(out, full, size + 1);
    return true;
}

// Behind "{id}--", or NULL.
static const char *skip_id(const char *at, const char *id)
{
    size_t size = strlen(id);
    if (at == NULL || strncmp(at, id, size) != 0)
        return NULL;
    at += size;
    at += *at == '.' ? 1 : 0; // the sender builds names from the ids it was given
    return strncmp(at, "--", 2) == 0 ? at + 2 : NULL;
}

void bfr_adopt_hint(const char *filename, const char *tenant, const char *dataset, char *out, size_t size)
{
    const char *time = skip_id(skip_id(filename, tenant), dataset);
    const char *hint = time == NULL ? NULL : strstr(time, "--");
    size_t length = hint == NULL ? 0 : strlen(hint + 2);
    if (length > 3 && length - 3 < size && ends_with(hint + 2, length, ".gz")) {
        memcpy(out, hint + 2, length - 3);
        out[length - 3] = '\0';
    } else {
        memcpy(out, "unknown", sizeof "unknown");
    }
}
