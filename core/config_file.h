// SPDX-License-Identifier: Apache-2.0
// Where the configuration is, and its text.
#ifndef BFR_CORE_CONFIG_FILE_H
#define BFR_CORE_CONFIG_FILE_H

#include <sys/types.h>

#include "config_arena.h"
#include "config_diag.h"

// `path`, else CONFIG_FILE of `environment`, else the first of the default places at which something stands; NULL when there
// is nothing. The result lives in the arena.
const char *bfr_config_find(struct bfr_arena *arena, const char *path, const char *const *environment);

// The text, at most one byte more than a configuration may have, with a NUL behind it; NULL after an error. `regular`: what is
// no regular file is refused; else a pipe is waited for, as a person who names one wants.
char *bfr_config_read_file(struct bfr_arena *arena, const char *path, bool regular, size_t *out_size,
                           struct bfr_diag *diag);

// The absolute directory of `path`; NULL when the working directory is needed and unknown (reported).
const char *bfr_config_directory(struct bfr_arena *arena, const char *path, struct bfr_diag *diag);

// Read until the end of the file or until `room` is full. Returns the bytes read, or -1 with errno.
ssize_t bfr_file_read_all(int fd, char *buffer, size_t room);

#endif
