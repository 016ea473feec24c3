// SPDX-License-Identifier: Apache-2.0
// A stage's options as typed values, made from "key=value" pairs and the plugin's option table.
#ifndef BFR_TESTKIT_OPTION_VALUES_H
#define BFR_TESTKIT_OPTION_VALUES_H

#include <bfr/plugin.h>

struct bfr_fake_value {
    const struct bfr_option *option;
    bool given;      // in the pairs, or a fallback
    char *text;      // as written; "" when not given
    int64_t integer; // also 1 for true
    double number;
    const char **list; // NULL-terminated, its elements point into `elements`
    char *elements;
    size_t list_count;
};

struct bfr_fake_values {
    struct bfr_fake_value *values; // one per option, in table order
    size_t count;
};

// The pairs win over the fallbacks. Fails on an unknown key, a missing required one, a value of the wrong form or out
// of range. Free with bfr_fake_values_free, also after a failure.
BFR_MUST_CHECK uint32_t bfr_fake_values_load(struct bfr_fake_values *out, const struct bfr_plugin *plugin,
                                             const char *const *pairs, size_t pair_count, struct bfr_err *err);
void bfr_fake_values_free(struct bfr_fake_values *values);

const struct bfr_fake_value *bfr_fake_values_find(const struct bfr_fake_values *values, const char *name);

// Whether `text` is a value of the option's type and within its bounds and choices. For checks of a table itself.
BFR_MUST_CHECK uint32_t bfr_fake_value_check(const struct bfr_option *option, const char *text, struct bfr_err *err);

// Element `index` of a plugin's option table, honouring its element size.
const struct bfr_option *bfr_fake_option(const struct bfr_plugin *plugin, uint32_t index);

#endif
