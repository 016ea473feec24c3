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
    if (values == NULL)
        return;
    bfr_arena_free(&values->arena);
    free(values);
}
