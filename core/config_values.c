// SPDX-License-Identifier: Apache-2.0
// Typed access to checked values. Read-only after they are made, so any thread may ask. Never converts: asking with the
// wrong type or for a name that was not declared is a bug of the asker and ends the process.
#include "config_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "config_slots.h"

struct bfr_option *bfr_options_copy(struct bfr_arena *arena, const struct bfr_option *options, uint32_t count,
                                    uint32_t option_size)
{
    if (count == 0)
        return NULL;
    size_t known = option_size < sizeof *options ? option_size : sizeof *options;
    struct bfr_option *copy = bfr_arena_alloc(arena, count * sizeof *copy);
    for (uint32_t i = 0; i < count && copy != NULL; i++)
        memcpy(&copy[i], (const char *)options + (size_t)i * option_size, known);
    return copy;
}

const struct bfr_slot *bfr_values_slot(const struct bfr_values *values, const char *name)
{
    for (uint32_t i = 0; i < values->count; i++) {
        if (strcmp(values->options[i].name, name) == 0)
            return &values->slots[i];
    }
    return NULL;
}

#define BIT(type) (1u << (type))

// The slot of `name`, which must be of one of `types`.
static const struct bfr_slot *require_slot(const struct bfr_values *values, const char *name, unsigned types)
{
    const struct bfr_slot *slot = bfr_values_slot(values, name);
    char what[160];
    if (slot == NULL)
        snprintf(what, sizeof what, "option '%.64s' was asked for but is not in the option table", name);
    else if ((types & BIT(values->options[slot - values->slots].type)) == 0)
        snprintf(what, sizeof what, "option '%.64s' was asked for with the getter of another type", name);
    else
        return slot;
    bfr_bug(what);
}

bool bfr_values_has(const struct bfr_values *values, const char *name)
{
    return require_slot(values, name, ~0u)->set;
}

const char *bfr_values_string(const struct bfr_values *values, const char *name)
{
    const struct bfr_slot *slot = require_slot(values, name, BIT(BFR_OPTION_STRING) | BIT(BFR_OPTION_PATH));
    return slot->set ? slot->text : "";
}

bool bfr_values_bool(const struct bfr_values *values, const char *name)
{
    return require_slot(values, name, BIT(BFR_OPTION_BOOL))->boolean;
}

int64_t bfr_values_integer(const struct bfr_values *values, const char *name)
{
    return require_slot(values, name, BIT(BFR_OPTION_INTEGER) | BIT(BFR_OPTION_SIZE) | BIT(BFR_OPTION_DURATION))
        ->integer;
}

double bfr_values_number(const struct bfr_values *values, const char *name)
{
    return require_slot(values, name, BIT(BFR_OPTION_NUMBER))->number;
}

const char *const *bfr_values_list(const struct bfr_values *values, const char *name, size_t *out_count)
{
    const struct bfr_slot *slot = require_slot(values, name, BIT(BFR_OPTION_LIST) | BIT(BFR_OPTION_MAP));
    *out_count = slot->list_count;
    return slot->list;
}

void bfr_values_free(struct bfr_values *values)
{
    while (values != NULL) {
        struct bfr_values *former = values->former;
        bfr_arena_free(&values->arena);
        free(values);
        values = former;
    }
}

struct bfr_slot bfr_slot_copy(struct bfr_arena *arena, const struct bfr_slot *slot)
{
    struct bfr_slot copy = *slot;
    if (slot->text != NULL)
        copy.text = bfr_arena_copy(arena, slot->text, strlen(slot->text));
    if (slot->list == NULL)
        return copy;
    copy.list = bfr_arena_alloc(arena, (slot->list_count + 1) * sizeof *copy.list);
    for (size_t i = 0; copy.list != NULL && i < slot->list_count; i++)
        copy.list[i] = bfr_arena_copy(arena, slot->list[i], strlen(slot->list[i]));
    return copy;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_list(const struct bfr_slot *a, const struct bfr_slot *b)
{
    bool same = a->list_count == b->list_count;
    for (size_t i = 0; same && i < a->list_count; i++)
        same = strcmp(a->list[i], b->list[i]) == 0;
    return same;
}

bool bfr_slot_same(uint32_t type, const struct bfr_slot *a, const struct bfr_slot *b)
{
    if (a->set != b->set || !a->set)
        return a->set == b->set;
    switch (type) {
    case BFR_OPTION_BOOL:
        return a->boolean == b->boolean;
    case BFR_OPTION_INTEGER:
    case BFR_OPTION_SIZE:
    case BFR_OPTION_DURATION:
        return a->integer == b->integer;
    case BFR_OPTION_NUMBER:
        return a->number >= b->number && a->number <= b->number;
    case BFR_OPTION_LIST:
    case BFR_OPTION_MAP:
        return same_list(a, b);
    default:
        return same_text(a->text, b->text);
    }
}

// Texts that a reload cannot change are promised for the stage's life, so the first values stay; those in between hold
// nothing that anybody may still use.
void bfr_values_succeed(struct bfr_values *values, struct bfr_values *former)
{
    const uint32_t live_secret = BFR_OPTION_LIVE | BFR_OPTION_SECRET;
    for (uint32_t i = 0; i < former->count; i++) {
        const char *text = former->slots[i].text;
        if ((former->options[i].flags & live_secret) == live_secret && text != NULL)
            explicit_bzero((char *)(uintptr_t)text, strlen(text));
    }
    values->former = former->former == NULL ? former : former->former;
    if (former->former == NULL)
        return;
    former->former = NULL;
    bfr_values_free(former);
}
