// SPDX-License-Identifier: Apache-2.0
// The plugins of a directory, for the commands that show them. [main]
#ifndef BFR_CORE_CLI_PLUGIN_DIR_H
#define BFR_CORE_CLI_PLUGIN_DIR_H

#include "cli.h"

#define BFR_PLUGIN_LIST_MAX 256

struct bfr_plugin_list {
    const struct bfr_plugin *plugins[BFR_PLUGIN_LIST_MAX]; // by name
    size_t count;
    size_t refused; // files that were not loaded; each has been named on stderr
};

// The directory in force: --plugin-dir, else of the configuration if one is found, else the built-in one. Returns false
// after having said on stderr what is wrong with the configuration.
bool bfr_plugin_dir_find(const struct bfr_cli *cli, char *out, size_t size);

BFR_MUST_CHECK uint32_t bfr_plugin_list_read(const struct bfr_cli *cli, struct bfr_plugin_list *out,
                                             struct bfr_err *err);

#endif
