// SPDX-License-Identifier: Apache-2.0
// Secrets kept in files of their own (`api_key_file` instead of `api_key`).
#ifndef BFR_CORE_CONFIG_SECRET_H
#define BFR_CORE_CONFIG_SECRET_H

#include <bfr/status.h>

#include "config_arena.h"

#define BFR_SECRET_MAX_BYTES 65536

// The content of a regular file without one newline at its end. *out_exposed: every user of the machine can read it.
BFR_MUST_CHECK uint32_t bfr_secret_read(struct bfr_arena *arena, const char *path, const char **out, bool *out_exposed,
                                        struct bfr_err *err);

#endif
