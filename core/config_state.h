// SPDX-License-Identifier: Apache-2.0
// Inside struct bfr_config: for the files that build and print it (config_load.c, config_stages.c, config_show.c).
#ifndef BFR_CORE_CONFIG_STATE_H
#define BFR_CORE_CONFIG_STATE_H

#include "config_core.h"
#include "config_legacy.h"
#include "config_load.h"
#include "config_tree.h"

struct bfr_config_stage {
    struct bfr_stage_entry entry;
    const struct bfr_node *keys; // the entry's mapping; NULL when it was a bare name
    const struct bfr_plugin *plugin;
    struct bfr_values *values; // NULL until bound
};

struct bfr_config_quota {
    const char *tenant;
    struct bfr_values *values;
};

struct bfr_config {
    struct bfr_arena arena; // tree, paths, stages
    const char *path;
    bool is_file;                          // else `path` says what it is made of
    const char *base_dir;                  // absolute, without a '/' at its end
    const struct bfr_legacy_found *legacy; // what an older form gave; NULL: the file is native
    const char *const *environment;        // of the flags, for what an option's default names; valid while it is read
    struct bfr_values *sections[BFR_CORE_SECTIONS];
    struct bfr_settings settings;
    struct bfr_config_quota *quotas; // of `quotas.tenants`, in the order of the file
    size_t quota_count;
    struct bfr_config_stage *stages;
    size_t stage_count;
};

// List what stands under `pipeline:` and `services:` of `root`. Entries with an error are reported and left out.
void bfr_stages_list(struct bfr_config *config, const struct bfr_node *root, struct bfr_diag *diag);

#endif
