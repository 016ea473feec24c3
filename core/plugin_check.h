// SPDX-License-Identifier: Apache-2.0
// What stands between a plugin's descriptor and its first call: the parts of bfr_plugin_check, and the refusals that
// need more than the descriptor. Pure, any thread; nothing is read beyond the sizes that the plugin declares.
#ifndef BFR_CORE_PLUGIN_CHECK_H
#define BFR_CORE_PLUGIN_CHECK_H

#include <bfr/plugin.h>

#define BFR_PLUGIN_NAME_MAX 32 // bytes

// [a-z0-9-]+, at most BFR_PLUGIN_NAME_MAX bytes.
bool bfr_plugin_name_valid(const char *name);

// Refuse when the descriptor (checked already) is not named as its file is; `file_name` is without directory and ".so".
BFR_MUST_CHECK uint32_t bfr_plugin_check_name(const struct bfr_plugin *plugin, const char *path, const char *file_name,
                                              struct bfr_err *err);

// A good plugin in the wrong place: writes the refusal and returns BFR_EINVAL. `want` is the kind that its place needs;
// 0 = any kind of the pipeline (auth, queue or sink).
BFR_MUST_CHECK uint32_t bfr_plugin_refuse_kind(const char *plugin_dir, const struct bfr_plugin *plugin, uint32_t want,
                                               struct bfr_err *err);

// Element `index` of a table whose elements are as long as the plugin was compiled with.
const struct bfr_option *bfr_plugin_option(const struct bfr_plugin *plugin, uint32_t index);
// By name; NULL when the table has no such option.
const struct bfr_option *bfr_plugin_option_find(const struct bfr_plugin *plugin, const char *name);

// The option table alone; the descriptor's other members have been checked.
BFR_MUST_CHECK uint32_t bfr_plugin_check_options(const struct bfr_plugin *plugin, const char *path,
                                                 struct bfr_err *err);

#endif
