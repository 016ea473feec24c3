// SPDX-License-Identifier: Apache-2.0
// Strict readers for single values: no blanks, no signs but '-', no leading zeros (octal elsewhere), no fractions where a
// whole number is meant, every step checked for overflow. Pure functions, any thread, no locale.
#include "config_value.h"

#include <ctype.h>
#include <locale.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", INT64_C(1000000000000)},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

// Every duration can be counted in nanoseconds in 64 bits.
#define DURATION_MAX_MS (INT64_MAX / 1000000)

static const char too_large[] = "is too large to count";

const char *bfr_value_bool(const char *text, bool *out)
{
    if (strcmp(text, "true") == 0)
        *out = true;
    else if (strcmp(text, "false") == 0)
        *out = false;
    else
        return "is neither true nor false";
    return NULL;
}

// Digits without a leading zero; *end stands behind them. NULL when fine.
static const char *read_digits(const char *text, const char **end, int64_t *out)
{
    const char *at = text;
    int64_t value = 0;
    for (; isdigit((unsigned char)*at); at++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
            return too_large;
    }
    if (at == text)
        return "is not a number";
    if (*text == '0' && at - text > 1)
        return "begins with a zero";
    *end = at;
    *out = value;
    return NULL;
}

const char *bfr_value_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    const char *end = NULL;
    int64_t value = 0;
    const char *wrong = read_digits(text + negative, &end, &value);
    if (wrong == too_large)
        return wrong;
    if (wrong != NULL || *end != '\0')
        return "is not a whole number";
    *out = negative ? -value : value;
    return NULL;
}

// -?digits[.digits]
static bool is_decimal(const char *text)
{
    const char *at = text + (*text == '-');
    size_t whole = strspn(at, "0123456789");
    if (whole == 0 || whole > 18 || (at[0] == '0' && whole > 1))
        return false;
    at += whole;
    if (*at == '\0')
        return true;
    size_t fraction = *at == '.' ? strspn(at + 1, "0123456789") : 0;
    return fraction > 0 && fraction <= 18 && at[1 + fraction] == '\0';
}

const char *bfr_value_number(const char *text, double *out)
{
    if (!is_decimal(text))
        return "is not a number";
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); // a decimal point in every country
    if (plain == (locale_t)0)
        return "could not be read: out of memory";
    *out = strtod_l(text, NULL, plain);
    freelocale(plain);
    return NULL;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0)
            return units;
    }
    return NULL;
}

static const char *scale(int64_t count, const struct unit *unit, int64_t limit, int64_t *out)
{
    int64_t value = 0;
    if (__builtin_mul_overflow(count, unit->factor, &value) || value > limit)
        return too_large;
    *out = value;
    return NULL;
}

const char *bfr_value_size(const char *text, int64_t *out)
{
    const char *end = NULL;
    int64_t count = 0;
    const char *wrong = read_digits(text, &end, &count);
    if (wrong != NULL)
        return wrong == too_large ? wrong : "is not a size";
    const struct unit *unit = find_unit(size_units, end);
    return unit == NULL ? "is not a size" : scale(count, unit, INT64_MAX, out);
}

const char *bfr_value_duration(const char *text, const char *unit_name, int64_t *out)
{
    const char *end = NULL;
    int64_t count = 0;
    const char *wrong = read_digits(text, &end, &count);
    if (wrong != NULL)
        return wrong == too_large ? wrong : "is not a duration";
    if (*end == '\0')
        end = unit_name == NULL ? "s" : unit_name;
    const struct unit *unit = find_unit(duration_units, end);
    return unit == NULL ? "is not a duration" : scale(count, unit, DURATION_MAX_MS, out);
}
