// SPDX-License-Identifier: Apache-2.0
// One value against one row of an option table.
#ifndef BFR_CORE_CONFIG_CHECK_VALUE_H
#define BFR_CORE_CONFIG_CHECK_VALUE_H

#include "config_check.h"
#include "config_slots.h"

struct bfr_value_check {
    const struct bfr_check *check;
    struct bfr_arena *arena; // of the values
    const struct bfr_option *option;
    bool fallback; // the value is the table's own
};

// Fill *slot from `node`. False after an error, which has been reported.
bool bfr_check_value(const struct bfr_value_check *value, const struct bfr_node *node, struct bfr_slot *slot);

// The table's fallback as a node: variables in single values are expanded, LIST and MAP are read as YAML. NULL when memory
// is short, or after an error, which has been reported.
struct bfr_node *bfr_check_fallback(const struct bfr_value_check *value, struct bfr_place place);

// An error about `key`, with the mapping's title in front.
BFR_PRINTF(4, 5)
void bfr_check_report(const struct bfr_check *check, struct bfr_place place, const char *key, const char *format, ...);

// How a value of this option is written, to complete "write ...".
struct bfr_advice {
    char text[192];
};
struct bfr_advice bfr_check_advice(const struct bfr_option *option);

#endif
