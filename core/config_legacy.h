// SPDX-License-Identifier: Apache-2.0
// The two older forms of the configuration, which have no `pipeline:`, made into the native one before anything is
// checked, so that one check serves all. Used on the thread that reads the configuration.
#ifndef BFR_CORE_CONFIG_LEGACY_H
#define BFR_CORE_CONFIG_LEGACY_H

#include "config_legacy_table.h"
#include "config_tree.h"

// What was given for one setting of the table.
struct bfr_legacy_found {
    const char *path; // the key that counts, "s3.bucket_name"; the first of the setting when a variable gave it
    const struct bfr_node *node; // converted; NULL: nothing was given
};

// Does this tree have an older form, or say nothing at all?
bool bfr_legacy_is_form(const struct bfr_node *root);

// Make an older form native: core keys moved, `pipeline:` and `services:` written out, variables of the environment laid
// over it. What cannot be understood is warned about and dropped. Returns what was found, one entry per setting of the
// table; NULL when memory is short.
const struct bfr_legacy_found *bfr_legacy_translate(struct bfr_arena *arena, struct bfr_node *root,
                                                    const char *const *environment, struct bfr_diag *diag);

// For a native file: report keys of the older forms, each with what to write instead, and take them out.
void bfr_legacy_refuse(struct bfr_arena *arena, struct bfr_node *root, struct bfr_diag *diag);

// For a native file: lay the short names of the environment (RECEIVER_S3_*, CONTROL_URL, ...) over the stages they mean.
void bfr_legacy_env_stages(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                           struct bfr_diag *diag);

// Steps of the translation, each in a file of its own.

// Find, convert and take out of the tree what is given for each setting of the table.
const struct bfr_legacy_found *bfr_legacy_resolve(struct bfr_arena *arena, struct bfr_node *root,
                                                  const char *const *environment, struct bfr_diag *diag);
// Write `pipeline:` and `services:`.
void bfr_legacy_compose(struct bfr_arena *arena, struct bfr_node *root, const struct bfr_legacy_found *found,
                        struct bfr_diag *diag);
// Warn about what is left in sections that only the older forms have, and take it out.
void bfr_legacy_drop_rest(struct bfr_arena *arena, struct bfr_node *root, struct bfr_diag *diag);

// Is the setting given as true, or given nothing and true by default? `fallback` stands in where the table has none.
bool bfr_legacy_is_on(const struct bfr_legacy_found *found, uint32_t index, bool fallback);
// Its text, else the table's fallback, else "".
const char *bfr_legacy_text(const struct bfr_legacy_found *found, uint32_t index);

// "s3.bucket_name" as the name of its variable, BYTEFREEZER_RECEIVER_S3_BUCKET_NAME; NULL when memory is short.
const char *bfr_legacy_variable(struct bfr_arena *arena, const char *path);

#endif
