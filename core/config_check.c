// SPDX-License-Identifier: Apache-2.0
// Walks one mapping and one option table side by side: unknown keys with a hint, given keys, `_file` twins of secrets,
// fallbacks, what is required. Used on the thread that reads the configuration. Never stops at the first error.
#include "config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "config_check_value.h"
#include "config_hint.h"
#include "config_secret.h"
#include "config_slots.h"

struct pass {
    const struct bfr_check *check;
    const struct bfr_node *map; // may be NULL
    struct bfr_place place;     // of the mapping
    struct bfr_values *values;
    size_t failures;
};

static bool is_secret(const struct bfr_option *option)
{
    return (option->flags & BFR_OPTION_SECRET) != 0;
}

// "<name>_file" of a secret option?
static bool is_twin(const struct bfr_option *option, const char *key)
{
    size_t length = strlen(option->name);
    return is_secret(option) && strncmp(key, option->name, length) == 0 && strcmp(key + length, "_file") == 0;
}

static bool is_reserved(const struct bfr_check *check, const char *key)
{
    for (const char *const *name = check->reserved; name != NULL && *name != NULL; name++) {
        if (strcmp(*name, key) == 0)
            return true;
    }
    return false;
}

static bool is_known(const struct pass *pass, const char *key)
{
    for (uint32_t i = 0; i < pass->values->count; i++) {
        const struct bfr_option *option = &pass->values->options[i];
        if (strcmp(option->name, key) == 0 || is_twin(option, key))
            return true;
    }
    return is_reserved(pass->check, key);
}

// The twin of a secret counts as a name of its own.
static const char *twin_name(struct pass *pass, const struct bfr_option *option)
{
    return is_secret(option) ? bfr_arena_format(&pass->values->arena, "%s_file", option->name) : NULL;
}

// What there is, for a key that is near to nothing.
static void list_known(const struct pass *pass, char *room, size_t size)
{
    const struct bfr_values *values = pass->values;
    size_t used = (size_t)snprintf(room, size, "known here:");
    for (uint32_t i = 0; i < values->count && used < size; i++)
        used += (size_t)snprintf(room + used, size - used, " %s", values->options[i].name);
    for (const char *const *name = pass->check->reserved; name != NULL && *name != NULL && used < size; name++)
        used += (size_t)snprintf(room + used, size - used, " %s", *name);
}

static void write_hint(struct pass *pass, const char *key, char *room, size_t size)
{
    struct bfr_hint hint = {.word = key};
    for (uint32_t i = 0; i < pass->values->count; i++) {
        const char *twin = twin_name(pass, &pass->values->options[i]);
        bfr_hint_offer(&hint, pass->values->options[i].name);
        if (twin != NULL)
            bfr_hint_offer(&hint, twin);
    }
    for (const char *const *name = pass->check->reserved; name != NULL && *name != NULL; name++)
        bfr_hint_offer(&hint, *name);
    for (const char *const *name = pass->check->hints; name != NULL && *name != NULL; name++)
        bfr_hint_offer(&hint, *name);
    const char *section = pass->check->elsewhere == NULL ? NULL : pass->check->elsewhere(key);
    if (section != NULL)
        snprintf(room, size, "it belongs under '%s:'", section);
    else if (hint.nearest != NULL)
        snprintf(room, size, "did you mean '%s'?", hint.nearest);
    else
        list_known(pass, room, size);
}

static void check_unknown(struct pass *pass)
{
    for (const struct bfr_node *child = pass->map->children; child != NULL; child = child->next) {
        if (is_known(pass, child->key))
            continue;
        char hint[512];
        write_hint(pass, child->key, hint, sizeof hint);
        const char *title = pass->check->title;
        const char *separator = title[0] == '\0' ? "" : ": ";
        if (pass->check->lenient) {
            bfr_diag_warning(pass->check->diag, child->key_place, "%s%sunknown key %s is ignored; %s", title, separator,
                             bfr_quote(child->key).text, hint);
            continue;
        }
        bfr_diag_error(pass->check->diag, child->key_place, "%s%sunknown key %s; %s", title, separator,
                       bfr_quote(child->key).text, hint);
        pass->failures++;
    }
}

// The node that `<name>_file` points to: a scalar with the file's content. NULL after an error.
static struct bfr_node *read_twin(struct pass *pass, const struct bfr_option *option, const struct bfr_node *twin)
{
    struct bfr_arena *arena = &pass->values->arena;
    struct bfr_option path = {.name = twin->key, .type = BFR_OPTION_PATH};
    struct bfr_value_check value = {.check = pass->check, .arena = arena, .option = &path};
    struct bfr_slot slot = {0};
    struct bfr_err err = {.size = sizeof err};
    bool exposed = false;
    struct bfr_node *node = bfr_node_new(arena, BFR_NODE_SCALAR, twin->place);
    if (node == NULL || !bfr_check_value(&value, twin, &slot))
        return NULL;
    if (slot.text == NULL || bfr_secret_read(arena, slot.text, &node->text, &exposed, &err) != BFR_OK) {
        bfr_check_report(pass->check, twin->place, twin->key, "%s", err.text);
        return NULL;
    }
    if (exposed)
        bfr_diag_warning(pass->check->diag, twin->place, "%s%s%s: every user of this machine can read '%s'; chmod o-r",
                         pass->check->title, pass->check->separator, twin->key, slot.text);
    node->key = option->name;
    node->key_place = twin->key_place;
    return node;
}

// What the mapping gives for `option`, directly or by file; NULL when nothing. False after an error.
static bool find_given(struct pass *pass, const struct bfr_option *option, const struct bfr_node **out)
{
    const struct bfr_node *direct = NULL, *twin = NULL;
    for (const struct bfr_node *child = pass->map == NULL ? NULL : pass->map->children; child != NULL;
         child = child->next) {
        if (strcmp(child->key, option->name) == 0)
            direct = child;
        else if (is_twin(option, child->key))
            twin = child;
    }
    *out = direct;
    if (twin == NULL)
        return true;
    if (direct != NULL)
        bfr_check_report(pass->check, twin->key_place, twin->key, "'%s' is given too; keep one of the two",
                         option->name);
    *out = direct == NULL ? read_twin(pass, option, twin) : NULL;
    return *out != NULL;
}

static void report_missing(struct pass *pass, const struct bfr_option *option)
{
    const char *help = option->help == NULL ? "" : option->help;
    bfr_check_report(pass->check, pass->place, option->name, "this key is required%s%s; add '%s: ...'%s%s%s",
                     help[0] == '\0' ? "" : ": ", help, option->name, is_secret(option) ? " or '" : "",
                     is_secret(option) ? option->name : "", is_secret(option) ? "_file: ...'" : "");
}

// Does a required option hold nothing, as "${BUCKET:-}" may leave it?
static bool is_hollow(const struct bfr_option *option, const struct bfr_slot *slot)
{
    return (option->flags & BFR_OPTION_REQUIRED) != 0 && slot->given &&
           ((slot->text != NULL && slot->text[0] == '\0') || (slot->list != NULL && slot->list_count == 0));
}

// The table's own value; nothing when it has none.
static bool set_fallback(struct pass *pass, const struct bfr_option *option, struct bfr_slot *slot)
{
    struct bfr_value_check value = {pass->check, &pass->values->arena, option, true};
    if (option->fallback == NULL)
        return true;
    const struct bfr_node *node = bfr_check_fallback(&value, pass->place);
    return node != NULL && bfr_check_value(&value, node, slot);
}

// The core's own value has been checked by the core's own row, so it only must be of the same type.
// Copied, because the stage's values may outlive the core's: a reload replaces these.
static bool set_inherited(struct pass *pass, const struct bfr_option *option, struct bfr_slot *slot)
{
    if (option->inherits == NULL || pass->check->core == NULL)
        return false;
    const struct bfr_slot *core = bfr_config_core_slot(pass->check->core, option->inherits, option->type);
    if (core == NULL)
        return false;
    *slot = bfr_slot_copy(&pass->values->arena, core);
    slot->given = false; // it is not the stage's; `config show` has it where it stands
    return true;
}

static bool set_given(struct pass *pass, const struct bfr_option *option, const struct bfr_node *node,
                      struct bfr_slot *slot)
{
    const struct bfr_value_check value = {pass->check, &pass->values->arena, option, false};
    if (!bfr_check_value(&value, node, slot))
        return false;
    if (!is_hollow(option, slot))
        return true;
    bfr_check_report(pass->check, node->place, option->name, "this key is required but empty; write %s",
                     bfr_check_advice(option).text);
    return false;
}

static bool is_known_type(const struct pass *pass, const struct bfr_option *option)
{
    if (option->type >= BFR_OPTION_STRING && option->type <= BFR_OPTION_MAP)
        return true;
    bfr_check_report(pass->check, pass->place, option->name,
                     "the plugin declares the type %u, which this version does not know; tell its author",
                     option->type);
    return false;
}

static void check_option(struct pass *pass, const struct bfr_option *option, struct bfr_slot *slot)
{
    const struct bfr_node *node = NULL;
    bool good = is_known_type(pass, option);
    if (!good || !find_given(pass, option, &node)) {
        pass->failures++;
    } else if (node != NULL && !set_given(pass, option, node, slot)) {
        pass->failures++;
        *slot = (struct bfr_slot){0};
        node = NULL;
    } else if (node == NULL && (option->flags & BFR_OPTION_REQUIRED) != 0) {
        report_missing(pass, option);
        pass->failures++;
    }
    if (good && node == NULL && !set_inherited(pass, option, slot) && !set_fallback(pass, option, slot))
        pass->failures++;
}

static struct bfr_values *new_values(const struct bfr_option *options, uint32_t count, uint32_t option_size)
{
    struct bfr_values *values = calloc(1, sizeof *values);
    if (values == NULL)
        return NULL;
    values->options = bfr_options_copy(&values->arena, options, count, option_size);
    values->slots = bfr_arena_alloc(&values->arena, (count + 1) * sizeof *values->slots);
    values->count = values->arena.failed ? 0 : count;
    return values;
}

struct bfr_values *bfr_check_options(const struct bfr_check *check, const struct bfr_node *map, struct bfr_place place,
                                     const struct bfr_option *options, uint32_t count, uint32_t option_size,
                                     bool *out_good)
{
    struct pass pass = {.check = check, .map = map, .place = place};
    pass.values = new_values(options, count, option_size);
    if (pass.values != NULL) {
        if (map != NULL)
            check_unknown(&pass);
        for (uint32_t i = 0; i < pass.values->count; i++)
            check_option(&pass, &pass.values->options[i], &pass.values->slots[i]);
    }
    if (pass.values == NULL || pass.values->arena.failed) {
        bfr_diag_error(check->diag, place, "out of memory while the configuration was checked");
        pass.failures++;
        bfr_values_free(pass.values);
        pass.values = NULL;
    }
    *out_good = pass.failures == 0;
    return pass.values;
}

struct bfr_values *bfr_values_defaults(const struct bfr_option *options, uint32_t count, uint32_t option_size)
{
    struct bfr_diag *diag = bfr_diag_new();
    bool good = false;
    bfr_must(diag != NULL);
    const struct bfr_check check = {.diag = diag, .title = "", .separator = ""};
    const struct bfr_place place = {"defaults", 0, 0};
    struct bfr_values *values = bfr_check_options(&check, NULL, place, options, count, option_size, &good);
    bfr_must(good); // else: a required option, or a fallback that is not valid
    bfr_diag_free(diag);
    return values;
}
