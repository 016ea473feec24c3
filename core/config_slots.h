// SPDX-License-Identifier: Apache-2.0
// Inside struct bfr_values: one slot per option, with what was given and what it means. For the files that make values
// (config_check.c) and print them (config_show.c); everyone else uses config_values.h.
#ifndef BFR_CORE_CONFIG_SLOTS_H
#define BFR_CORE_CONFIG_SLOTS_H

#include "config_arena.h"
#include "config_diag.h"
#include "config_values.h"

struct bfr_slot {
    bool set;               // given, or has a fallback
    bool given;             // in the file, the environment or a flag
    struct bfr_place place; // of the value when given
    const char *text;       // single values: as it would be written; PATH: absolute
    bool boolean;
    int64_t integer;
    double number;
    const char **list; // LIST and MAP
    size_t list_count;
};

struct bfr_values {
    struct bfr_arena arena;     // everything below
    struct bfr_option *options; // the table, copied in the host's own layout
    uint32_t count;
    struct bfr_slot *slots;
    struct bfr_values *former; // whose texts some slots share, after a succession; owned
};

// Copy a table whose rows may be shorter or longer than the host's struct; texts stay where they are. NULL when memory
// is short, or for count 0.
struct bfr_option *bfr_options_copy(struct bfr_arena *arena, const struct bfr_option *options, uint32_t count,
                                    uint32_t option_size);

// A copy whose texts live in `arena`; arena->failed when memory is short.
struct bfr_slot bfr_slot_copy(struct bfr_arena *arena, const struct bfr_slot *slot);
// Do both mean the same? `type` is the option's.
bool bfr_slot_same(uint32_t type, const struct bfr_slot *a, const struct bfr_slot *b);

// `values` have taken over from `former` and may share texts with it: they own it from now on. What only a reload could
// change is wiped in it when it is secret.
void bfr_values_succeed(struct bfr_values *values, struct bfr_values *former);

// NULL when the table has no such name.
const struct bfr_slot *bfr_values_slot(const struct bfr_values *values, const char *name);

struct bfr_config;

// The core's value of "section.key". NULL when there is no such key, it is of another type, or it has no value.
const struct bfr_slot *bfr_config_core_slot(const struct bfr_config *config, const char *path, uint32_t type);

#endif
