// SPDX-License-Identifier: Apache-2.0
// Typed option values for the fake host. The forms are those option.h documents; the messages name the key. Plain
// parsing, no state.
#include "option_values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

struct scale {
    const char *suffix;
    int64_t factor;
};

static const struct scale sizes[] = {
    {"", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {"KB", INT64_C(1000)},
    {"MB", INT64_C(1000000)},
    {"GB", INT64_C(1000000000)},
    {"TB", INT64_C(1000000000000)},
};

static const struct scale durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

static const struct scale *find_scale(const struct scale *scales, size_t count, const char *suffix)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(scales[i].suffix, suffix) == 0)
            return &scales[i];
    return NULL;
}

static bool parse_scaled(const char *text, const struct scale *scales, size_t count, const char *plain_suffix,
                         int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno != 0 || value < 0)
        return false;
    const struct scale *scale = find_scale(scales, count, *end != '\0' ? end : plain_suffix);
    return scale != NULL && !__builtin_mul_overflow((int64_t)value, scale->factor, out);
}

static bool parse_integer(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

// `number` is also what bounds are compared by; the tables of real plugins stay far below 2^53.
static bool parse_number(const struct bfr_option *option, const char *text, int64_t *integer, double *number)
{
    bool good;
    char *end;
    *integer = 0;
    switch (option->type) {
    case BFR_OPTION_INTEGER:
        good = parse_integer(text, integer);
        break;
    case BFR_OPTION_SIZE:
        good = parse_scaled(text, sizes, sizeof sizes / sizeof *sizes, "", integer);
        break;
    case BFR_OPTION_DURATION:
        good = parse_scaled(text, durations, sizeof durations / sizeof *durations,
                            option->unit != NULL ? option->unit : "s", integer);
        break;
    default:
        *number = strtod(text, &end);
        return end != text && *end == '\0' && isfinite(*number);
    }
    *number = (double)*integer;
    return good;
}

static bool is_numeric(uint32_t type)
{
    return type == BFR_OPTION_INTEGER || type == BFR_OPTION_NUMBER || type == BFR_OPTION_SIZE ||
           type == BFR_OPTION_DURATION;
}

static bool among(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL)
        if (strcspn(at, "|") == length && memcmp(at, text, length) == 0)
            return true;
    return false;
}

static uint32_t check_number(const struct bfr_option *option, const char *text, struct bfr_fake_value *value,
                             struct bfr_err *err)
{
    if (!parse_number(option, text, &value->integer, &value->number))
        return bfr_err_set(err, BFR_EINVAL, "option %s: '%s' is not a value of its type", option->name, text);
    int64_t ignored;
    double least = 0, most = INFINITY;
    if ((option->min != NULL && !parse_number(option, option->min, &ignored, &least)) ||
        (option->max != NULL && !parse_number(option, option->max, &ignored, &most)))
        return bfr_err_set(err, BFR_EINVAL, "option %s: its bounds are not values of its type", option->name);
    if (value->number < least || value->number > most)
        return bfr_err_set(err, BFR_EINVAL, "option %s: %s is not between %s and %s", option->name, text,
                           option->min != NULL ? option->min : "0", option->max != NULL ? option->max : "infinity");
    return BFR_OK;
}

static uint32_t parse_value(const struct bfr_option *option, const char *text, struct bfr_fake_value *value,
                            struct bfr_err *err)
{
    if (is_numeric(option->type))
        return check_number(option, text, value, err);
    if (option->type == BFR_OPTION_BOOL) {
        value->integer = strcmp(text, "true") == 0;
        if (!value->integer && strcmp(text, "false") != 0)
            return bfr_err_set(err, BFR_EINVAL, "option %s: '%s' is neither true nor false", option->name, text);
    } else if (option->choices != NULL && !among(option->choices, text)) {
        return bfr_err_set(err, BFR_EINVAL, "option %s: '%s' is not one of %s", option->name, text, option->choices);
    }
    return BFR_OK;
}

uint32_t bfr_fake_value_check(const struct bfr_option *option, const char *text, struct bfr_err *err)
{
    struct bfr_fake_value scratch;
    return parse_value(option, text, &scratch, err);
}

const struct bfr_option *bfr_fake_option(const struct bfr_plugin *plugin, uint32_t index)
{
    return (const struct bfr_option *)((const char *)plugin->options + (size_t)index * plugin->option_size);
}

static uint32_t split_list(struct bfr_fake_value *value)
{
    size_t commas = 0;
    if (value->text == NULL) // memory was short when it was set
        return BFR_ENOMEM;
    for (const char *at = value->text; *at != '\0'; at++)
        commas += *at == ',';
    value->elements = strdup(value->text);
    value->list = calloc(commas + 2, sizeof *value->list);
    if (value->elements == NULL || value->list == NULL)
        return BFR_ENOMEM;
    char *rest = NULL;
    for (char *part = strtok_r(value->elements, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest))
        value->list[value->list_count++] = part;
    return BFR_OK;
}

static uint32_t set_value(struct bfr_fake_value *value, const char *text, struct bfr_err *err)
{
    free(value->text);
    value->text = strdup(text);
    if (value->text == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    value->given = true;
    return parse_value(value->option, text, value, err);
}

// A fallback as the host would make it of an empty environment: "${NAME:-text}" is "text". The result is to be freed.
static char *expand_fallback(const char *fallback)
{
    size_t length = strlen(fallback);
    const char *text = strstr(fallback, ":-");
    if (strncmp(fallback, "${", 2) != 0 || text == NULL || fallback[length - 1] != '}')
        return strdup(fallback);
    return strndup(text + 2, length - (size_t)(text + 2 - fallback) - 1);
}

static uint32_t load_fallbacks(struct bfr_fake_values *out, struct bfr_err *err)
{
    for (size_t i = 0; i < out->count; i++) {
        struct bfr_fake_value *value = &out->values[i];
        char *fallback = value->option->fallback != NULL ? expand_fallback(value->option->fallback) : NULL;
        if (fallback == NULL && value->option->fallback != NULL)
            return bfr_err_set(err, BFR_ENOMEM, "out of memory");
        uint32_t status = set_value(value, fallback != NULL ? fallback : "", fallback != NULL ? err : NULL);
        value->given = fallback != NULL;
        free(fallback);
        if (value->given && status != BFR_OK)
            return status;
        if (value->text == NULL)
            return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    return BFR_OK;
}

static uint32_t load_pair(struct bfr_fake_values *out, const char *pair, struct bfr_err *err)
{
    size_t length = strcspn(pair, "=");
    if (pair[length] == '\0')
        return bfr_err_set(err, BFR_EINVAL, "'%s' is not of the form key=value", pair);
    for (size_t i = 0; i < out->count; i++) {
        const char *name = out->values[i].option->name;
        if (strlen(name) == length && memcmp(name, pair, length) == 0)
            return set_value(&out->values[i], pair + length + 1, err);
    }
    return bfr_err_set(err, BFR_EINVAL, "option %.*s: the plugin has no such option", (int)length, pair);
}

static uint32_t finish(struct bfr_fake_values *out, struct bfr_err *err)
{
    for (size_t i = 0; i < out->count; i++) {
        struct bfr_fake_value *value = &out->values[i];
        const struct bfr_option *option = value->option;
        if ((option->flags & BFR_OPTION_REQUIRED) != 0 && !value->given)
            return bfr_err_set(err, BFR_EINVAL, "option %s: required and not given; add %s=...", option->name,
                               option->name);
        if ((option->type == BFR_OPTION_LIST || option->type == BFR_OPTION_MAP) && split_list(value) != BFR_OK)
            return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    return BFR_OK;
}

uint32_t bfr_fake_values_load(struct bfr_fake_values *out, const struct bfr_plugin *plugin, const char *const *pairs,
                              size_t pair_count, struct bfr_err *err)
{
    out->count = plugin->option_count;
    out->values = calloc(out->count + 1, sizeof *out->values);
    if (out->values == NULL) {
        out->count = 0;
        return bfr_err_set(err, BFR_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < plugin->option_count; i++)
        out->values[i].option = bfr_fake_option(plugin, i);
    uint32_t status = load_fallbacks(out, err);
    for (size_t i = 0; i < pair_count && status == BFR_OK; i++)
        status = load_pair(out, pairs[i], err);
    return status == BFR_OK ? finish(out, err) : status;
}

void bfr_fake_values_free(struct bfr_fake_values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        free(values->values[i].text);
        free(values->values[i].elements);
        free(values->values[i].list);
    }
    free(values->values);
    values->values = NULL;
    values->count = 0;
}

const struct bfr_fake_value *bfr_fake_values_find(const struct bfr_fake_values *values, const char *name)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->values[i].option->name, name) == 0)
            return &values->values[i];
    return NULL;
}
