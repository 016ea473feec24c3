// SPDX-License-Identifier: Apache-2.0
// One bounded printf for the texts of this library. Internal; not installed.
#ifndef BFR_SDK_PRINT_H
#define BFR_SDK_PRINT_H

#include <stdarg.h>
#include <stddef.h>

#include <bfr/text.h>

// vsnprintf that never splits a UTF-8 character. `out` is written only after the arguments were read, so that they may
// point into it. Texts are cut at sizeof(struct bfr_err.text). [any]
BFR_PRINTF(3, 0) void bfr_print(char *out, size_t room, const char *format, va_list arguments);

#endif
