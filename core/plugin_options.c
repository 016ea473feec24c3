// SPDX-License-Identifier: Apache-2.0
// Is an option table sound? A mistake in a table would otherwise show only when somebody writes that key, so it is
// refused when the plugin is loaded. Pure, any thread. Reading a user's values is the configuration's business, not
// done here.
#include <inttypes.h>
#include <math.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bfr/text.h>

#include "config_value.h"
#include "plugin_check.h"

#define OPTIONS_MAX     256 // in one table; more is a damaged count
#define OPTION_NAME_MAX 64  // bytes
#define OPTION_SIZE_1_0 (offsetof(struct bfr_option, inherits) + sizeof(const char *))
#define OPTION_FLAGS    (BFR_OPTION_REQUIRED | BFR_OPTION_SECRET | BFR_OPTION_LIVE)

// Where a complaint belongs, and where it goes.
struct complaint {
    const struct bfr_plugin *plugin;
    const char *path;
    struct bfr_err *err;
};

const struct bfr_option *bfr_plugin_option(const struct bfr_plugin *plugin, uint32_t index)
{
    return (const struct bfr_option *)((const char *)plugin->options + (size_t)index * plugin->option_size);
}

const struct bfr_option *bfr_plugin_option_find(const struct bfr_plugin *plugin, const char *name)
{
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        const struct bfr_option *option = bfr_plugin_option(plugin, i);
        if (strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

BFR_PRINTF(3, 4)
static uint32_t refuse(const struct complaint *at, const char *name, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return bfr_err_set(at->err, BFR_EINVAL, "plugin '%s': option '%.64s' of its table %s", at->path, name, text);
}

static bool name_valid(const char *name)
{
    if (name == NULL || name[0] < 'a' || name[0] > 'z')
        return false;
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return length <= OPTION_NAME_MAX && name[length] == '\0';
}

static bool one_of(const char *text, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(text, *list) == 0)
            return true;
    }
    return false;
}

// Is `text` one of the '|'-separated `choices`?
static bool choice_of(const char *text, const char *choices)
{
    size_t length = strlen(text);
    for (const char *at = choices;; at++) {
        size_t size = strcspn(at, "|");
        if (size == length && strncmp(at, text, size) == 0)
            return true;
        at += size;
        if (*at == '\0')
            return false;
    }
}

static bool choices_valid(const char *choices)
{
    size_t length = strlen(choices);
    return length > 0 && choices[0] != '|' && choices[length - 1] != '|' && strstr(choices, "||") == NULL;
}

// A number, read as the configuration reads it; what it is not, or NULL. A long double holds every int64 exactly, so
// one type serves all four.
static const char *read_number(const struct bfr_option *option, const char *text, long double *out)
{
    int64_t integer = 0;
    double number = 0;
    const char *wrong;
    if (option->type == BFR_OPTION_NUMBER)
        wrong = bfr_value_number(text, &number);
    else if (option->type == BFR_OPTION_INTEGER)
        wrong = bfr_value_integer(text, &integer);
    else if (option->type == BFR_OPTION_SIZE)
        wrong = bfr_value_size(text, &integer);
    else
        wrong = bfr_value_duration(text, option->unit, &integer);
    *out = option->type == BFR_OPTION_NUMBER ? (long double)number : (long double)integer;
    return wrong;
}

static bool is_numeric(uint32_t type)
{
    return type >= BFR_OPTION_INTEGER && type <= BFR_OPTION_DURATION;
}

static uint32_t check_limits(const struct complaint *at, const struct bfr_option *option)
{
    const char *const texts[] = {option->min, option->max, option->fallback};
    static const char *const names[] = {"min", "max", "fallback"};
    long double values[] = {0, INFINITY, 0};
    for (size_t i = 0; i < 3; i++) {
        const char *wrong = texts[i] != NULL ? read_number(option, texts[i], &values[i]) : NULL;
        if (wrong != NULL)
            return refuse(at, option->name, "has the %s '%.40s', which %s; write it as in YAML", names[i], texts[i],
                          wrong);
    }
    if (values[0] > values[1])
        return refuse(at, option->name, "has a min '%.40s' above its max '%.40s'; no value could be right",
                      option->min == NULL ? "0" : option->min, option->max);
    if (option->fallback != NULL && (values[2] < values[0] || values[2] > values[1]))
        return refuse(at, option->name, "has the fallback '%.40s', which is outside its own min and max; adjust one",
                      option->fallback);
    return BFR_OK;
}

static uint32_t check_choices(const struct complaint *at, const struct bfr_option *option)
{
    if (option->type != BFR_OPTION_STRING || !choices_valid(option->choices))
        return refuse(at, option->name, "has the choices '%.80s'; give a STRING some non-empty values separated by '|'",
                      option->choices);
    if (option->fallback != NULL && !choice_of(option->fallback, option->choices))
        return refuse(at, option->name, "has the fallback '%.40s', which is not among its choices '%.80s'; add it",
                      option->fallback, option->choices);
    return BFR_OK;
}

static uint32_t check_type(const struct complaint *at, const struct bfr_option *option)
{
    static const char *const units[] = {"ms", "s", "m", "h", "d", NULL};
    if (option->type < BFR_OPTION_STRING || option->type > BFR_OPTION_MAP)
        return refuse(at, option->name,
                      "has type %" PRIu32 ", this host knows %d (string) to %d (map); use one of them", option->type,
                      BFR_OPTION_STRING, BFR_OPTION_MAP);
    if ((option->flags & ~OPTION_FLAGS) != 0)
        return refuse(at, option->name, "sets flags 0x%" PRIx32 ", which this host does not know; clear them",
                      option->flags & ~OPTION_FLAGS);
    if ((option->flags & BFR_OPTION_REQUIRED) != 0 && option->fallback != NULL)
        return refuse(at, option->name, "is REQUIRED and has a fallback; drop one of the two");
    if ((option->flags & BFR_OPTION_LIVE) != 0 && !BFR_HAS_CALL(at->plugin->life, reload))
        return refuse(at, option->name,
                      "may change by a reload, and its 'struct bfr_life' has no 'reload'; fill it, or clear "
                      "BFR_OPTION_LIVE");
    if (option->unit != NULL && (option->type != BFR_OPTION_DURATION || !one_of(option->unit, units)))
        return refuse(at, option->name, "has the unit '%.16s'; only a DURATION has one: ms, s, m, h or d",
                      option->unit);
    if (!is_numeric(option->type) && (option->min != NULL || option->max != NULL))
        return refuse(at, option->name, "has a min or max, and its type has no order; drop them");
    if (option->help == NULL || option->help[0] == '\0' || strpbrk(option->help, "\r\n") != NULL)
        return refuse(at, option->name, "has no help of one line; say what it is for");
    return BFR_OK;
}

static uint32_t check_fallback(const struct complaint *at, const struct bfr_option *option)
{
    static const char *const booleans[] = {"true", "false", NULL};
    if (option->choices != NULL)
        return check_choices(at, option);
    if (is_numeric(option->type))
        return check_limits(at, option);
    if (option->type == BFR_OPTION_BOOL && option->fallback != NULL && !one_of(option->fallback, booleans))
        return refuse(at, option->name, "has the fallback '%.40s'; a BOOL is true or false", option->fallback);
    return BFR_OK;
}

// Two keys with one meaning: the same name twice, `<name>_file` of a secret, or a key that every stage has anyway.
static uint32_t check_unique(const struct complaint *at, uint32_t index)
{
    static const char *const reserved[] = {"plugin", "name", NULL};
    const struct bfr_option *option = bfr_plugin_option(at->plugin, index);
    if (one_of(option->name, reserved))
        return refuse(at, option->name, "has a name that every stage uses already; choose another");
    size_t length = strlen(option->name);
    for (uint32_t i = 0; i < at->plugin->option_count; i++) {
        const struct bfr_option *other = bfr_plugin_option(at->plugin, i);
        if (i < index && strcmp(other->name, option->name) == 0)
            return refuse(at, option->name, "is there twice; drop one");
        if ((option->flags & BFR_OPTION_SECRET) != 0 && name_valid(other->name) &&
            strncmp(other->name, option->name, length) == 0 && strcmp(other->name + length, "_file") == 0)
            return refuse(at, other->name, "is what the host makes of the secret '%.64s'; rename it", option->name);
    }
    return BFR_OK;
}

static uint32_t check_option(const struct complaint *at, uint32_t index)
{
    const struct bfr_option *option = bfr_plugin_option(at->plugin, index);
    if (!name_valid(option->name))
        return bfr_err_set(at->err, BFR_EINVAL,
                           "plugin '%s': option %" PRIu32 " of its table has the name '%.40s'; a name is 1 to %d bytes "
                           "of a-z, 0-9 and '_' and begins with a letter",
                           at->path, index, option->name == NULL ? "" : option->name, OPTION_NAME_MAX);
    uint32_t status = check_unique(at, index);
    if (status == BFR_OK)
        status = check_type(at, option);
    if (status == BFR_OK)
        status = check_fallback(at, option);
    return status;
}

uint32_t bfr_plugin_check_options(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err)
{
    const struct complaint at = {plugin, path, err};
    if (plugin->option_count == 0)
        return BFR_OK;
    if (plugin->options == NULL || plugin->option_count > OPTIONS_MAX)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it declares %" PRIu32 " options%s, at most %d are allowed; fix option_count",
                           path, plugin->option_count, plugin->options == NULL ? " and no table" : "", OPTIONS_MAX);
    if (plugin->option_size < OPTION_SIZE_1_0 || plugin->option_size % alignof(struct bfr_option) != 0)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it declares options of %" PRIu32 " bytes, ABI %" PRIu32
                           ".0 has %zu; set option_size to sizeof(struct bfr_option)",
                           path, plugin->option_size, BFR_ABI_MAJOR, OPTION_SIZE_1_0);
    uint32_t status = BFR_OK;
    for (uint32_t i = 0; i < plugin->option_count && status == BFR_OK; i++)
        status = check_option(&at, i);
    return status;
}
