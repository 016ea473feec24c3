// SPDX-License-Identifier: Apache-2.0
// The keys of one mapping against one option table.
#ifndef BFR_CORE_CONFIG_CHECK_H
#define BFR_CORE_CONFIG_CHECK_H

#include "config_tree.h"
#include "config_values.h"

struct bfr_config;

// How to check and how to speak about it.
struct bfr_check {
    struct bfr_diag *diag;
    const char *title;              // of the mapping: "webhook", "stage 'fs'", "" for the top level
    const char *separator;          // between title and key: ".", ": " or ""
    const char *base_dir;           // what a relative path is relative to, "" for the root; NULL: leave it as it is
    const char *const *reserved;    // keys that the caller handles, NULL-terminated; or NULL
    const char *const *hints;       // names for "did you mean" beside the known ones, NULL-terminated; or NULL
    bool lenient;                   // an unknown key is a warning, as in the older forms
    const char *const *environment; // for ${NAME} in the fallbacks; may be NULL
    const char *(*elsewhere)(const char *key); // a section that has this key, or NULL; may be NULL
    const struct bfr_config *core;             // for what options inherit; NULL: they have their fallbacks
};

// `map` NULL: no key is given. Every error is reported and makes *out_good false; a key with an error holds its fallback,
// so that what depends on the others can be checked all the same. NULL only when memory is short, which is reported too.
struct bfr_values *bfr_check_options(const struct bfr_check *check, const struct bfr_node *map, struct bfr_place place,
                                     const struct bfr_option *options, uint32_t count, uint32_t option_size,
                                     bool *out_good);

#endif
