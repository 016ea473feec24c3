// SPDX-License-Identifier: Apache-2.0
// Reading of the X-Proxy-* fields with their fallbacks (the senders in the field leave some empty, and old ones send
// negative counts).
#include "http_meta.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "http_name.h"

static const char *text_or(struct bfr_gate *gate, enum bfr_header header, const char *fallback)
{
    const char *text = bfr_gate_text(gate, header);
    if (text == NULL || text[0] == '\0')
        return fallback;
    size_t size = strlen(text);
    return size <= BFR_META_TEXT_MAX && bfr_text_is_clean((const uint8_t *)text, size) ? text : fallback;
}

static uint64_t number_or(struct bfr_gate *gate, enum bfr_header header, uint64_t fallback)
{
    const char *text = bfr_gate_text(gate, header);
    if (text == NULL || text[0] == '\0')
        return fallback;
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return fallback;
        unsigned digit = (unsigned)(*text - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10) // JSON readers and S3 tools take signed numbers
            return fallback;
        value = value * 10 + digit;
    }
    return value;
}

void bfr_meta_read(struct bfr_gate *gate, uint64_t body_bytes, int64_t now_ns, struct bfr_meta *out)
{
    out->batch_id = text_or(gate, BFR_HEADER_BATCH_ID, "unknown");
    out->data_hint = text_or(gate, BFR_HEADER_DATA_HINT, "unknown");
    out->content_type = text_or(gate, BFR_HEADER_CONTENT_TYPE, "");
    out->line_count = number_or(gate, BFR_HEADER_LINE_COUNT, 1);
    out->original_bytes = number_or(gate, BFR_HEADER_ORIGINAL_BYTES, body_bytes);
    const char *created = bfr_gate_text(gate, BFR_HEADER_CREATED_AT);
    if (created == NULL || !bfr_time_parse(created, &out->created_ns))
        out->created_ns = now_ns;
}

// `count` digits at *at, in the given range; moves *at behind them.
static bool take_number(const char **at, int count, int low, int high, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        value = value * 10 + (**at - '0');
    }
    *out = value;
    return value >= low && value <= high;
}

static bool take_char(const char **at, const char *set)
{
    if (**at == '\0' || strchr(set, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

static bool take_fraction(const char **at, int64_t *out_ns)
{
    *out_ns = 0;
    if (!take_char(at, "."))
        return true;
    int64_t unit = 100000000;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        *out_ns += (**at - '0') * unit;
    return true;
}

static bool take_offset(const char **at, int *out_seconds)
{
    *out_seconds = 0;
    if (take_char(at, "Zz"))
        return true;
    int sign = **at == '-' ? -1 : 1;
    int hours;
    int minutes;
    if (!take_char(at, "+-") || !take_number(at, 2, 0, 23, &hours) || !take_char(at, ":") ||
        !take_number(at, 2, 0, 59, &minutes))
        return false;
    *out_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool bfr_time_parse(const char *text, int64_t *out_ns)
{
    const char *at = text;
    struct tm tm = {0};
    int64_t fraction;
    int offset;
    // Not beyond 2261: int64_t nanoseconds end in 2262.
    bool ok = take_number(&at, 4, 1970, 2261, &tm.tm_year) && take_char(&at, "-") &&
              take_number(&at, 2, 1, 12, &tm.tm_mon) && take_char(&at, "-") &&
              take_number(&at, 2, 1, 31, &tm.tm_mday) && take_char(&at, "Tt ") &&
              take_number(&at, 2, 0, 23, &tm.tm_hour) && take_char(&at, ":") &&
              take_number(&at, 2, 0, 59, &tm.tm_min) && take_char(&at, ":") && take_number(&at, 2, 0, 60, &tm.tm_sec) &&
              take_fraction(&at, &fraction) && take_offset(&at, &offset) && *at == '\0';
    if (!ok)
        return false;
    if (tm.tm_mday > days_in_month(tm.tm_year, tm.tm_mon))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t seconds = timegm(&tm);
    *out_ns = (seconds - offset) * (int64_t)BFR_NS_PER_S + fraction;
    return true;
}

void bfr_time_format(int64_t unix_ns, char *out)
{
    time_t seconds = (time_t)(unix_ns / (int64_t)BFR_NS_PER_S);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
}
