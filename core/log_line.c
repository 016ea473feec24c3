// SPDX-License-Identifier: Apache-2.0
// Rendering of one log line. Works on the caller's buffer alone: no lock, no allocation, nothing global.
//
// Both formats share one way of quoting, which is JSON's: a logfmt value that needs quotes is a JSON string. JSON values
// are always strings, so that a field keeps its type whatever it holds; only `repeated` is a number.
#include "log_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "utf8.h"

#define END_MAX     48   // room kept for repeated=N, closing brace and newline
#define VALUE_MAX   1024 // bytes of one value as written: one long value must not push out the others
#define FIELD_LEAST 16   // bytes that a field must have left for its value, else it is left out
#define ELLIPSIS    "..."

static const char *const level_names[] = {"info", "debug", "info", "warn", "error"};
const char *bfr_log_level_name(uint32_t level)
{
    return level_names[level <= BFR_LOG_ERROR ? level : 0];
}

uint32_t bfr_log_level_from(const char *name)
{
    for (uint32_t level = BFR_LOG_DEBUG; level <= BFR_LOG_ERROR; level++) {
        if (strcmp(name, level_names[level]) == 0)
            return level;
    }
    return 0;
}

static const char *const own_keys[] = {"ts", "level", "inst", "msg", "repeated"};

static size_t room(const struct bfr_log_line *line)
{
    return sizeof line->text - END_MAX - line->size;
}

static void put(struct bfr_log_line *line, const char *bytes, size_t size)
{
    if (size > room(line))
        return;
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void put_text(struct bfr_log_line *line, const char *text)
{
    put(line, text, strlen(text));
}

// Characters that a terminal acts on, or that make a line look like something it is not: C0 and C1 controls, DEL, line
// and paragraph separators, bidirectional overrides.
static bool is_unprintable(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

static bool is_bare_value(const char *text)
{
    const char *at = text;
    while (*at != '\0') {
        uint32_t code = 0;
        size_t bytes = bfr_utf8_read(at, &code);
        if (bytes == 0 || is_unprintable(code) || code == ' ' || code == '"' || code == '=' || code == '\\')
            return false;
        at += bytes;
    }
    return at != text && strlen(text) <= VALUE_MAX;
}

// Write the character at `at` as it stands between quotes into `out`; returns the number of bytes read.
static size_t quote_one(const char *at, char out[8])
{
    uint32_t code = 0;
    size_t bytes = bfr_utf8_read(at, &code);
    if (bytes == 0) {
        snprintf(out, 8, "%s", BFR_UTF8_REPLACEMENT);
        return 1;
    }
    if (code == '"' || code == '\\')
        snprintf(out, 8, "\\%c", (char)code);
    else if (code == '\n')
        snprintf(out, 8, "\\n");
    else if (code == '\t')
        snprintf(out, 8, "\\t");
    else if (code == '\r')
        snprintf(out, 8, "\\r");
    else if (is_unprintable(code))
        snprintf(out, 8, "\\u%04x", (unsigned)code); // all of them are below U+10000
    else
        snprintf(out, 8, "%.*s", (int)bytes, at);
    return bytes;
}

// Quotes included, at most `most` bytes; what does not fit ends in "...".
static void put_quoted(struct bfr_log_line *line, const char *text, size_t most)
{
    if (most > room(line))
        most = room(line);
    if (most < sizeof "\"" ELLIPSIS "\"" - 1)
        return;
    size_t limit = line->size + most - 1; // where the closing quote stands at the latest
    put_text(line, "\"");
    size_t cut = line->size; // the last place at which "..." still fits
    while (*text != '\0') {
        char unit[8];
        text += quote_one(text, unit);
        size_t size = strlen(unit);
        if (line->size + size > limit) {
            line->size = cut;
            put_text(line, ELLIPSIS);
            break;
        }
        put(line, unit, size);
        if (line->size + strlen(ELLIPSIS) <= limit)
            cut = line->size;
    }
    put_text(line, "\"");
}

// A key of ours, or one made safe: letters, digits, _ . - only, never one of ours, so that no field can pass for the
// level or the time of a line.
static void put_key(struct bfr_log_line *line, const char *key, bool ours)
{
    bool json = line->format == BFR_LOG_JSON;
    if (line->text[line->size - 1] != '{')
        put_text(line, json ? "," : " ");
    if (json)
        put_text(line, "\"");
    for (const char *at = key; *at != '\0' && at - key < 64; at++) {
        bool safe = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                    *at == '.' || *at == '-';
        put(line, safe ? at : "_", 1);
    }
    for (size_t i = 0; !ours && i < sizeof own_keys / sizeof own_keys[0]; i++) {
        if (strcmp(key, own_keys[i]) == 0)
            put_text(line, "_");
    }
    if (*key == '\0')
        put_text(line, "_");
    put_text(line, json ? "\":" : "=");
}

static void put_value(struct bfr_log_line *line, const char *value)
{
    if (line->format == BFR_LOG_LOGFMT && is_bare_value(value) && strlen(value) <= room(line))
        put_text(line, value);
    else
        put_quoted(line, value, VALUE_MAX);
}

static void put_fields(struct bfr_log_line *line, const char *const *fields)
{
    for (size_t i = 0; fields != NULL && fields[i] != NULL && fields[i + 1] != NULL; i += 2) {
        if (strnlen(fields[i], 64) + FIELD_LEAST > room(line))
            return;
        put_key(line, fields[i], false);
        put_value(line, fields[i + 1]);
    }
}

static void put_time(struct bfr_log_line *line, int64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / (int64_t)BFR_NS_PER_S);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char day[40], text[56];
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%03dZ", day, (int)(wall_ns / (int64_t)BFR_NS_PER_MS % 1000));
    put_value(line, text);
}

void bfr_log_line_begin(struct bfr_log_line *line, enum bfr_log_format format, int64_t wall_ns, uint32_t level,
                        const char *inst, const char *message, const char *const *fields)
{
    line->format = format;
    line->size = 0;
    if (format == BFR_LOG_JSON) {
        put_text(line, "{\"ts\":");
        put_time(line, wall_ns);
    } else {
        put_text(line, "ts=");
        put_time(line, wall_ns);
    }
    put_key(line, "level", true);
    put_value(line, bfr_log_level_name(level));
    put_key(line, "inst", true);
    put_value(line, inst);
    put_key(line, "msg", true);
    put_quoted(line, message, VALUE_MAX);
    put_fields(line, fields);
}

void bfr_log_line_end(struct bfr_log_line *line, uint64_t events)
{
    bool json = line->format == BFR_LOG_JSON;
    char end[END_MAX];
    int size = 0;
    if (events > 1)
        size = snprintf(end, sizeof end, json ? ",\"repeated\":%" PRIu64 : " repeated=%" PRIu64, events);
    size += snprintf(end + size, sizeof end - (size_t)size, json ? "}\n" : "\n");
    memcpy(line->text + line->size, end, (size_t)size); // END_MAX was kept free for it
    line->size += (size_t)size;
}
