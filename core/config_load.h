// SPDX-License-Identifier: Apache-2.0
// From a file, the environment and flags to checked settings and stages. Two steps, because a stage's keys can be checked
// only against the option table of its plugin:
//
//     bfr_config_read     YAML to tree, core sections checked, settings filled, stages listed (names, places, keys)
//     bfr_config_bind     for each stage, once its descriptor is known: keys checked against the option table
//
// Both report every error they find; call bind for all stages even after errors, then look at bfr_diag_errors.
#ifndef BFR_CORE_CONFIG_LOAD_H
#define BFR_CORE_CONFIG_LOAD_H

#include <stddef.h>
#include <stdio.h>

#include <bfr/plugin.h>

#include "config_diag.h"
#include "config_settings.h"
#include "config_values.h"

struct bfr_config;

// One entry of `pipeline:` or `services:`.
struct bfr_stage_entry {
    const char *plugin; // bare name
    const char *name;   // of the stage; unique; default: the plugin's
    bool service;       // stands under services:
    struct bfr_place place;
};

// What the command line gives; NULL = not given.
struct bfr_config_flags {
    const char *plugin_dir;
    const char *log_level;
    const char *const *environment; // "NAME=value" list, NULL-terminated; normally environ
    // A configuration is in force, and is read again: what is no regular file is refused, for nobody may wait for a pipe now,
    // and `path` NULL stays without a file, whatever stands at the places by now.
    bool again;
};

// `path` NULL: CONFIG_FILE, then the default places; with nothing at any of them, defaults and the environment. Returns NULL
// only when memory is short; errors, a named file that is missing among them, are in `diag`.
struct bfr_config *bfr_config_read(const char *path, const struct bfr_config_flags *flags, struct bfr_diag *diag);
// The same for a text in memory; `name` stands for its path in findings and decides what relative paths are relative to.
struct bfr_config *bfr_config_parse(const char *name, const char *text, const struct bfr_config_flags *flags,
                                    struct bfr_diag *diag);
void bfr_config_free(struct bfr_config *config); // wipes secrets; NULL is allowed

const struct bfr_settings *bfr_config_settings(const struct bfr_config *config);
const char *bfr_config_path(const struct bfr_config *config);
bool bfr_config_is_file(const struct bfr_config *config); // else it is made of defaults and the environment
// Where a key of the core was given, for findings that come later than the check; `key` as in the section's table.
struct bfr_place bfr_config_place(const struct bfr_config *config, const char *section, const char *key);
size_t bfr_config_stage_count(const struct bfr_config *config);
const struct bfr_stage_entry *bfr_config_stage(const struct bfr_config *config, size_t index);

// Check the keys of stage `index` against the plugin's option table. Returns NULL after errors (in `diag`); the values
// belong to the config. The shape of the pipeline (kinds, order, ack level) is checked by the app.
const struct bfr_values *bfr_config_bind(struct bfr_config *config, size_t index, const struct bfr_plugin *plugin,
                                         struct bfr_diag *diag);

// An error for each secret of a bound stage that reads "***", which is what bfr_config_show prints: good enough for
// `check`, not for `run`. Returns how many there were.
size_t bfr_config_refuse_masks(const struct bfr_config *config, struct bfr_diag *diag);

// The value in effect by its name in the older forms ("s3.bucket_name"), for a file of any form, as text into `out`; a secret
// is "***", or empty when there is none. ext/settings.h says more. BFR_EINVAL: no such key. All stages must be bound.
uint32_t bfr_config_older_text(const struct bfr_config *config, const char *path, char *out, size_t room);

// The configuration in effect as native YAML, with defaults, secrets as ***. All stages must be bound.
uint32_t bfr_config_show(const struct bfr_config *config, FILE *stream, struct bfr_err *err);
// JSON Schema (2020-12) of the native form, with the options of the given plugins.
uint32_t bfr_config_schema(const struct bfr_plugin *const *plugins, size_t count, FILE *stream, struct bfr_err *err);
// The table of one plugin for people: `plugins info NAME`.
void bfr_config_describe(const struct bfr_plugin *plugin, FILE *stream);

#endif
