// SPDX-License-Identifier: Apache-2.0
// Everything wrong with one file, each with its place, in one text that fits a struct bfr_err. What does not fit is
// counted. Main thread only.
#ifndef BFR_AUTH_FINDINGS_H
#define BFR_AUTH_FINDINGS_H

#include <stddef.h>

#include <bfr/text.h>

struct findings {
    const char *file;
    size_t count;
    size_t left_out;
    size_t length;
    char text[sizeof(((struct bfr_err *)0)->text)];
};

// "file:line:col: text"; line and column count from 1; line 0 is the file as a whole.
BFR_PRINTF(4, 5) void bfr_findings_add(struct findings *findings, size_t line, size_t column, const char *format, ...);
// Write all into *err; `status` is returned.
uint32_t bfr_findings_report(const struct findings *findings, uint32_t status, struct bfr_err *err);

#endif
