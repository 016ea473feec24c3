// SPDX-License-Identifier: Apache-2.0
// Reads one node as the type its option declares, within the option's limits, and says what is wrong: what was found,
// what is right, an example. Pure but for the findings. Never shows a secret, nor what a variable expanded to.
#include "config_check_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config_expand.h"
#include "config_hint.h"
#include "config_value.h"

void bfr_check_report(const struct bfr_check *check, struct bfr_place place, const char *key, const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bfr_diag_error(check->diag, place, "%s%s%s: %s", check->title, check->separator, key, text);
}

// A value worth imitating: the default, unless it says nothing.
static const char *example_of(const struct bfr_option *option)
{
    static const char *const samples[] = {
        [BFR_OPTION_STRING] = "text",    [BFR_OPTION_BOOL] = "true",       [BFR_OPTION_INTEGER] = "10",
        [BFR_OPTION_NUMBER] = "0.5",     [BFR_OPTION_SIZE] = "64MiB",      [BFR_OPTION_DURATION] = "30s",
        [BFR_OPTION_PATH] = "/srv/data", [BFR_OPTION_LIST] = "[one, two]", [BFR_OPTION_MAP] = "{name: value}",
    };
    bool telling = option->fallback != NULL && option->fallback[0] != '\0' && strcmp(option->fallback, "0") != 0;
    return telling ? option->fallback : samples[option->type];
}

static struct bfr_advice advise_integer(const struct bfr_option *option)
{
    struct bfr_advice advice;
    const char *min = option->min == NULL ? "0" : option->min;
    if (option->max != NULL)
        snprintf(advice.text, sizeof advice.text, "a whole number from %.24s to %.24s, for example %.32s", min,
                 option->max, example_of(option));
    else
        snprintf(advice.text, sizeof advice.text, "a whole number of at least %.24s, for example %.32s", min,
                 example_of(option));
    return advice;
}

struct bfr_advice bfr_check_advice(const struct bfr_option *option)
{
    static const char *const shapes[] = {
        [BFR_OPTION_STRING] = "a text",
        [BFR_OPTION_BOOL] = "true or false",
        [BFR_OPTION_INTEGER] = "a whole number",
        [BFR_OPTION_NUMBER] = "a number",
        [BFR_OPTION_SIZE] = "bytes, or a number with KiB, MiB, GiB, TiB, KB, MB, GB or TB behind it",
        [BFR_OPTION_DURATION] = "a number with ms, s, m, h or d behind it",
        [BFR_OPTION_PATH] = "a path",
        [BFR_OPTION_LIST] = "a list of texts",
        [BFR_OPTION_MAP] = "a mapping of texts",
    };
    if (option->type == BFR_OPTION_INTEGER)
        return advise_integer(option);
    struct bfr_advice advice;
    if (option->type == BFR_OPTION_BOOL || (option->type == BFR_OPTION_STRING && option->fallback == NULL))
        snprintf(advice.text, sizeof advice.text, "%s", shapes[option->type]);
    else
        snprintf(advice.text, sizeof advice.text, "%s, for example %.64s", shapes[option->type], example_of(option));
    return advice;
}

// The value as a message may show it. A secret is never shown; of an expanded value only what stands in the file.
static struct bfr_quoted show_value(const struct bfr_option *option, const struct bfr_node *node)
{
    if ((option->flags & BFR_OPTION_SECRET) != 0) {
        struct bfr_quoted hidden = {"the value"};
        return hidden;
    }
    return bfr_quote(node->source != NULL ? node->source : node->text);
}

static void report_value(const struct bfr_value_check *value, const struct bfr_node *node, const char *wrong,
                         const char *advice)
{
    const char *expanded = node->source != NULL ? ", once expanded," : "";
    const char *blame = value->fallback ? " (the plugin's own default; tell its author)" : "";
    bfr_check_report(value->check, node->place, value->option->name, "%s%s %s; %s%s",
                     show_value(value->option, node).text, expanded, wrong, advice, blame);
}

static bool refuse(const struct bfr_value_check *value, const struct bfr_node *node, const char *wrong)
{
    char advice[sizeof(struct bfr_advice) + 8];
    snprintf(advice, sizeof advice, "write %s", bfr_check_advice(value->option).text);
    report_value(value, node, wrong, advice);
    return false;
}

// The number behind `text` in the option's type and unit.
static const char *read_number(const struct bfr_option *option, const char *text, int64_t *integer, double *number)
{
    const char *wrong = NULL;
    switch (option->type) {
    case BFR_OPTION_NUMBER:
        return bfr_value_number(text, number);
    case BFR_OPTION_SIZE:
        wrong = bfr_value_size(text, integer);
        break;
    case BFR_OPTION_DURATION:
        wrong = bfr_value_duration(text, option->unit, integer);
        break;
    default:
        wrong = bfr_value_integer(text, integer);
        break;
    }
    *number = (double)*integer;
    return wrong;
}

// Does the slot's number lie below (`sign` -1) or above (1) `limit`?
static bool is_beyond(const struct bfr_value_check *value, const struct bfr_slot *slot, const char *limit, int sign)
{
    int64_t integer = 0;
    double number = 0;
    if (read_number(value->option, limit, &integer, &number) != NULL) {
        bfr_check_report(value->check, slot->place, value->option->name,
                         "the plugin declares the limit '%.32s', which cannot be read; tell its author", limit);
        return false;
    }
    if (value->option->type == BFR_OPTION_NUMBER)
        return sign < 0 ? slot->number < number : slot->number > number;
    return sign < 0 ? slot->integer < integer : slot->integer > integer;
}

static bool check_number(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    const struct bfr_option *option = value->option;
    const char *min = option->min == NULL ? "0" : option->min;
    char advice[96];
    const char *wrong = read_number(option, node->text, &slot->integer, &slot->number);
    if (wrong != NULL)
        return refuse(value, node, wrong);
    if (is_beyond(value, slot, min, -1)) {
        snprintf(advice, sizeof advice, "the smallest value is %.32s", min);
        report_value(value, node, "is too small", advice);
        return false;
    }
    if (option->max != NULL && is_beyond(value, slot, option->max, 1)) {
        snprintf(advice, sizeof advice, "the largest value is %.32s", option->max);
        report_value(value, node, "is too large", advice);
        return false;
    }
    return true;
}

// "a|b|c" as words; NULL when memory is short.
static const char **split_choices(struct bfr_arena *arena, const char *choices, size_t *out_count)
{
    size_t count = 1;
    for (const char *at = choices; *at != '\0'; at++)
        count += *at == '|';
    const char **words = bfr_arena_alloc(arena, count * sizeof *words);
    char *text = bfr_arena_copy(arena, choices, strlen(choices));
    if (words == NULL || text == NULL)
        return NULL;
    char *rest = text;
    for (size_t i = 0; i < count; i++)
        words[i] = strsep(&rest, "|");
    *out_count = count;
    return words;
}

static bool refuse_choice(const struct bfr_value_check *value, const struct bfr_node *node, const char **words,
                          size_t count)
{
    struct bfr_hint hint = {.word = node->text};
    char advice[384];
    size_t used = (size_t)snprintf(advice, sizeof advice, "write one of ");
    for (size_t i = 0; i < count && used < sizeof advice; i++) {
        bfr_hint_offer(&hint, words[i]);
        used += (size_t)snprintf(advice + used, sizeof advice - used, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    if (hint.nearest != NULL && used < sizeof advice)
        snprintf(advice + used, sizeof advice - used, "; did you mean '%s'?", hint.nearest);
    report_value(value, node, "is not a choice", advice);
    return false;
}

static bool check_string(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    slot->text = bfr_arena_copy(value->arena, node->text, strlen(node->text));
    if (value->option->choices == NULL)
        return true;
    size_t count = 0;
    const char **words = split_choices(value->arena, value->option->choices, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], node->text) == 0)
            return true;
    }
    return refuse_choice(value, node, words, count);
}

// A relative path is relative to the configuration; an empty one stays empty.
static void set_path(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    const char *base = value->check->base_dir;
    bool join = base != NULL && node->text[0] != '/' && node->text[0] != '\0';
    slot->text = join ? bfr_arena_format(value->arena, "%s/%s", base, node->text)
                      : bfr_arena_copy(value->arena, node->text, strlen(node->text));
}

static bool check_scalar(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    const char *wrong = NULL;
    switch (value->option->type) {
    case BFR_OPTION_STRING:
        return check_string(value, node, slot);
    case BFR_OPTION_PATH:
        set_path(value, node, slot);
        return true;
    case BFR_OPTION_BOOL:
        wrong = bfr_value_bool(node->text, &slot->boolean);
        if (wrong != NULL)
            return refuse(value, node, wrong);
        break;
    default:
        if (!check_number(value, node, slot))
            return false;
        break;
    }
    slot->text = bfr_arena_copy(value->arena, node->text, strlen(node->text));
    return true;
}

static void refuse_kind(const struct bfr_value_check *value, const struct bfr_node *node, const char *what)
{
    bfr_check_report(value->check, node->place, value->option->name, "found %s%s; write %s", bfr_node_kind_name(node),
                     what, bfr_check_advice(value->option).text);
}

// One element of a list or mapping as text; NULL after an error.
static const char *element_text(const struct bfr_value_check *value, const struct bfr_node *node)
{
    if (node->kind == BFR_NODE_BROKEN)
        return NULL;
    if (node->kind != BFR_NODE_SCALAR || bfr_node_is_null(node)) {
        refuse_kind(value, node, node->key != NULL ? " as a value in the mapping" : " as an element of the list");
        return NULL;
    }
    if (node->key == NULL)
        return bfr_arena_copy(value->arena, node->text, strlen(node->text));
    if (strchr(node->key, '=') != NULL) {
        bfr_check_report(value->check, node->key_place, value->option->name, "the key %s holds a '='; remove it",
                         bfr_quote(node->key).text);
        return NULL;
    }
    return bfr_arena_format(value->arena, "%s=%s", node->key, node->text);
}

static bool check_elements(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    size_t failed = 0;
    slot->list = bfr_arena_alloc(value->arena, (node->child_count + 1) * sizeof *slot->list);
    for (const struct bfr_node *child = node->children; child != NULL && slot->list != NULL; child = child->next) {
        const char *text = element_text(value, child);
        if (text == NULL)
            failed++;
        else
            slot->list[slot->list_count++] = text;
    }
    return failed == 0;
}

static bool check_list(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    if (node->kind == BFR_NODE_LIST)
        return check_elements(value, node, slot);
    if (node->kind != BFR_NODE_SCALAR) {
        refuse_kind(value, node, "");
        return false;
    }
    slot->list = bfr_arena_alloc(value->arena, 2 * sizeof *slot->list);
    if (slot->list != NULL)
        slot->list[slot->list_count++] = bfr_arena_copy(value->arena, node->text, strlen(node->text));
    return true;
}

bool bfr_check_value(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot)
{
    const struct bfr_option *option = value->option;
    slot->place = node->place;
    if (node->kind == BFR_NODE_BROKEN)
        return false;
    if (bfr_node_is_null(node) && !value->fallback) {
        bfr_check_report(value->check, node->key_place, option->name, "has no value; write %s, or leave the key out",
                         bfr_check_advice(option).text);
        return false;
    }
    slot->set = true;
    slot->given = !value->fallback;
    if (option->type == BFR_OPTION_LIST)
        return check_list(value, node, slot);
    if (option->type == BFR_OPTION_MAP && node->kind == BFR_NODE_MAP)
        return check_elements(value, node, slot);
    if (option->type != BFR_OPTION_MAP && node->kind == BFR_NODE_SCALAR)
        return check_scalar(value, node, slot);
    refuse_kind(value, node, "");
    return false;
}

struct bfr_node *bfr_check_fallback(const struct bfr_value_check *value, struct bfr_place place)
{
    const struct bfr_option *option = value->option;
    if (option->type == BFR_OPTION_LIST || option->type == BFR_OPTION_MAP)
        return bfr_tree_parse(value->arena, place.file, option->fallback, strlen(option->fallback), value->check->diag);
    struct bfr_node *node = bfr_node_new(value->arena, BFR_NODE_SCALAR, place);
    if (node == NULL)
        return NULL;
    struct bfr_err err = {.size = sizeof err};
    node->text = option->fallback;
    if (bfr_expand_text(value->arena, option->fallback, value->check->environment, &node->text, &err) == BFR_OK)
        return node;
    bfr_check_report(value->check, place, option->name, "in the default: %s", err.text);
    return NULL;
}
