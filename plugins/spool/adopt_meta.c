// SPDX-License-Identifier: Apache-2.0
// See adopt_meta.h. Nothing in a meta is needed to store a batch, so nothing in it is trusted: what is missing, negative or
// garbled counts as not said. `file_path` is not looked at: the file is where it was found.
#include "adopt_meta.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "adopt_name.h"

#define META_BYTES_MAX ((size_t)64 << 10)
#define NS_PER_S       INT64_C(1000000000)
#define YEAR_MAX       2262 // the last whose moments fit into 64 bits of ns

// Digits of a fraction as ns; *at moves behind them.
static int64_t read_fraction(const char **at)
{
    int64_t ns = 0, unit = NS_PER_S / 10;
    if (**at != '.')
        return 0;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        ns += (**at - '0') * unit;
    return ns;
}

// "Z" or "+hh:mm" in seconds; false: neither.
static bool read_offset(const char *at, int64_t *out)
{
    static const char form[] = "+00:00";
    *out = 0;
    if (strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    if (strlen(at) != strlen(form) || (at[0] != '+' && at[0] != '-') || at[3] != ':')
        return false;
    for (size_t i = 1; form[i] != '\0'; i++)
        if (form[i] == '0' && (at[i] < '0' || at[i] > '9'))
            return false;
    int64_t hours = (at[1] - '0') * 10 + (at[2] - '0'), minutes = (at[4] - '0') * 10 + (at[5] - '0');
    *out = (at[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

int64_t bfr_adopt_time(const char *text)
{
    struct tm parts = {0};
    int64_t offset = 0;
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL || parts.tm_year + 1900 < 1970 || parts.tm_year + 1900 >= YEAR_MAX)
        return 0;
    int64_t ns = read_fraction(&rest);
    if (!read_offset(rest, &offset))
        return 0;
    int64_t seconds = (int64_t)timegm(&parts) - offset;
    return seconds > 0 ? seconds * NS_PER_S + ns : 0;
}

static uint64_t number_of(const json_t *root, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(root, key));
    return value > 0 ? (uint64_t)value : 0;
}

// Text, or Unix time in ns.
static int64_t time_of(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    if (json_is_integer(value))
        return json_integer_value(value) > 0 ? json_integer_value(value) : 0;
    return bfr_adopt_time(json_string_value(value));
}

static void text_of(const json_t *root, const char *key, char out[ADOPT_TEXT_SIZE])
{
    const char *text = json_string_value(json_object_get(root, key));
    if (text != NULL && strlen(text) < ADOPT_TEXT_SIZE && bfr_adopt_text_is_clean(text))
        memcpy(out, text, strlen(text) + 1);
}

static void fill(const json_t *root, struct adopt_meta *out)
{
    uint64_t retries = number_of(root, "retry_count");
    out->line_count = number_of(root, "line_count");
    out->original_bytes = number_of(root, "original_bytes");
    if (out->original_bytes == 0)
        out->original_bytes = number_of(root, "uncompressed_size");
    out->created_ns = time_of(root, "created_at");
    out->retry_count = retries < UINT16_MAX ? (uint32_t)retries : UINT16_MAX;
    out->failed_ns = time_of(root, "failed_at");
    if (out->failed_ns == 0)
        out->failed_ns = time_of(root, "last_retry");
    text_of(root, "data_hint", out->data_hint);
    text_of(root, "batch_id", out->batch_id);
    text_of(root, "failure_reason", out->failure_reason);
}

// At most META_BYTES_MAX bytes of a regular file; NULL: it cannot be had. Free it.
static char *read_text(int directory, const char *name, size_t *out_size)
{
    struct stat info;
    char *text = NULL;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (size_t)info.st_size <= META_BYTES_MAX)
        text = malloc((size_t)info.st_size + 1);
    ssize_t got = text == NULL ? -1 : pread(fd, text, (size_t)info.st_size, 0);
    if (fd >= 0)
        close(fd);
    if (got < 0) {
        free(text);
        return NULL;
    }
    *out_size = (size_t)got;
    return text;
}

bool bfr_adopt_meta_read(int directory, const char *name, struct adopt_meta *out)
{
    size_t size = 0;
    *out = (struct adopt_meta){.line_count = 0};
    char *text = read_text(directory, name, &size);
    json_t *root = text == NULL ? NULL : json_loadb(text, size, 0, NULL);
    bool good = json_is_object(root);
    free(text);
    if (good)
        fill(root, out);
    json_decref(root);
    return good;
}
