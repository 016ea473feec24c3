// SPDX-License-Identifier: Apache-2.0
// From a plugin's bare name to its descriptor: path, owner and mode, dlopen, entry, version check. Every refusal has
// its own one-line text with path, cause and way out. Nothing of a plugin is called before its descriptor has been
// checked. Plugins are never unmapped.
#ifndef BFR_CORE_PLUGIN_LOADER_H
#define BFR_CORE_PLUGIN_LOADER_H

#include <bfr/plugin.h>

// Load <plugin_dir>/<name>.so. Loading the same file twice gives the same descriptor. The
// descriptor stays valid until the process ends. [main]
BFR_MUST_CHECK uint32_t bfr_plugin_load(const char *plugin_dir, const char *name, const struct bfr_plugin **out,
                                        struct bfr_err *err);

// The same for a path given by a person (`plugins check FILE.so`).
BFR_MUST_CHECK uint32_t bfr_plugin_load_file(const char *path, const struct bfr_plugin **out, struct bfr_err *err);

// The checks on the descriptor alone, without a file: pure. `path` is for the texts.
BFR_MUST_CHECK uint32_t bfr_plugin_check(const struct bfr_plugin *plugin, const char *path, struct bfr_err *err);

// "auth", "queue", "sink", "service"; "unknown" for others.
const char *bfr_kind_name(uint32_t kind);

#endif
