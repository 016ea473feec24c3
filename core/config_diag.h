// SPDX-License-Identifier: Apache-2.0
// Findings about a configuration: every error of one run, each with its place, in the order of the file.
#ifndef BFR_CORE_CONFIG_DIAG_H
#define BFR_CORE_CONFIG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <bfr/text.h>

#include "texts.h"

// Where in which file; line and column count from 1, 0 = the file as a whole. `file` may also name a variable or a flag.
// It is copied into the diag.
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
// "file:line:col: error: text" per line, sorted by place, duplicates dropped. Files stand in the order in which they were
// first named.
void bfr_diag_print(const struct bfr_diag *diag, FILE *stream);
// Its errors, each as "file:line:col: text", are added to `out`.
void bfr_diag_list(const struct bfr_diag *diag, struct bfr_texts *out);
// The same as log lines, for a daemon that runs in spite of warnings.
void bfr_diag_log(const struct bfr_diag *diag);

// A text of the user's for use inside a finding: in single quotes, cut to a readable length, control characters as '?'.
struct bfr_quoted {
    char text[72];
};
struct bfr_quoted bfr_quote(const char *text);

#endif
