// SPDX-License-Identifier: Apache-2.0
// Typed values of one option table, checked and expanded; what host->config_* reads. Made by config_check.c.
// Asking for a name or a type that the table does not have is a bug of the asker.
#ifndef BFR_CORE_CONFIG_VALUES_H
#define BFR_CORE_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/option.h>

struct bfr_values;

// True when the option was given or has a fallback.
bool bfr_values_has(const struct bfr_values *values, const char *name);
const char *bfr_values_string(const struct bfr_values *values, const char *name); // "" when unset; STRING and PATH
bool bfr_values_bool(const struct bfr_values *values, const char *name);
int64_t bfr_values_integer(const struct bfr_values *values, const char *name); // INTEGER; SIZE bytes; DURATION ms
double bfr_values_number(const struct bfr_values *values, const char *name);
const char *const *bfr_values_list(const struct bfr_values *values, const char *name, size_t *out_count);

// Secrets are wiped. NULL is allowed.
void bfr_values_free(struct bfr_values *values);

// All defaults of a table; for tests and for stages made without a file. Aborts on a table that has a required option.
struct bfr_values *bfr_values_defaults(const struct bfr_option *options, uint32_t count, uint32_t option_size);

#endif
