// SPDX-License-Identifier: Apache-2.0
// A plugin's file, found and judged before anything of it is mapped.
#ifndef BFR_CORE_PLUGIN_FILE_H
#define BFR_CORE_PLUGIN_FILE_H

#include <sys/stat.h>

#include <bfr/status.h>

#include "plugin_check.h"

struct bfr_plugin_file {
    const char *path;                          // as given, for the texts; borrowed
    char name[BFR_PLUGIN_NAME_MAX + 4];        // within the directory: "fs.so"
    char plugin_name[BFR_PLUGIN_NAME_MAX + 1]; // "fs"
    int directory_fd;                          // O_PATH; -1 when not open
    struct stat directory;
    struct stat file;
};

// Open the directory of `path`, judge directory and file: name, kind of file, owner, mode, ELF, whole. On failure
// nothing is open. [main]
BFR_MUST_CHECK uint32_t bfr_plugin_file_open(const char *path, struct bfr_plugin_file *out, struct bfr_err *err);
void bfr_plugin_file_close(struct bfr_plugin_file *file); // also when not open

#endif
