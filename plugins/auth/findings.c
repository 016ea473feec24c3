// SPDX-License-Identifier: Apache-2.0
// See findings.h.
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TAIL_ROOM 40 // for "; and N more"

void bfr_findings_add(struct findings *findings, size_t line, size_t column, const char *format, ...)
{
    char line_text[sizeof findings->text];
    const char *between = findings->count == 0 ? "" : "; ";
    va_list args;

    int head = line == 0
                   ? snprintf(line_text, sizeof line_text, "%s%s: ", between, findings->file)
                   : snprintf(line_text, sizeof line_text, "%s%s:%zu:%zu: ", between, findings->file, line, column);
    size_t length = (size_t)head < sizeof line_text ? (size_t)head : sizeof line_text - 1;
    va_start(args, format);
    vsnprintf(line_text + length, sizeof line_text - length, format, args);
    va_end(args);

    length = strlen(line_text);
    // The first is always written, cut if need be; once one is left out, all later ones are: the text is a beginning.
    if (findings->left_out > 0 ||
        (findings->count > 0 && findings->length + length + TAIL_ROOM > sizeof findings->text)) {
        findings->left_out++;
    } else {
        memcpy(findings->text + findings->length, line_text, length + 1);
        findings->length += length;
    }
    findings->count++;
}

uint32_t bfr_findings_report(const struct findings *findings, uint32_t status, struct bfr_err *err)
{
    if (findings->left_out > 0)
        return bfr_err_set(err, status, "%s; and %zu more", findings->text, findings->left_out);
    return bfr_err_set(err, status, "%s", findings->text);
}
