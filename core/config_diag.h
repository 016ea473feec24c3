// SPDX-License-Identifier: Apache-2.0
// Findings about a configuration: every error of one run, each with its place, in the order of the file.
#ifndef BFR_CORE_CONFIG_DIAG_H
#define BFR_CORE_CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <bfr/text.h>

// Where in which file; line and column count from 1, 0 = the file as a whole. `file` outlives the diag.
struct bfr_place {
    const char *file;
    unsigned line;
    unsigned column;
};

struct bfr_diag;

struct bfr_diag *bfr_diag_new(void);
void bfr_diag_free(struct bfr_diag *diag);
BFR_PRINTF(3, 4) void bfr_diag_error(struct bfr_diag *diag, struct bfr_place place, const char *format, ...);
BFR_PRINTF(3, 4) void bfr_diag_warning(struct bfr_diag *diag, struct bfr_place place, const char *format, ...);
size_t bfr_diag_errors(const struct bfr_diag *diag);
// "file:line:col: error: text" per line, sorted by place, duplicates dropped.
void bfr_diag_print(const struct bfr_diag *diag, FILE *stream);

#endif
