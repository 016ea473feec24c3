// SPDX-License-Identifier: Apache-2.0
// Strict reading of UTF-8 (RFC 3629): what is sent to a terminal, into JSON or to a scraper is checked here first.
#ifndef BFR_CORE_UTF8_H
#define BFR_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define BFR_UTF8_MAX_BYTES   4              // of one character
#define BFR_UTF8_REPLACEMENT "\xEF\xBF\xBD" // U+FFFD, what stands for a byte that is not UTF-8

// Read the character at `text`, which is NUL-terminated. Returns how many bytes it has, with *out_code filled, or 0 when
// the first byte does not begin a valid character (overlong forms, surrogates and code points above U+10FFFF are not
// valid): replace that one byte and go on behind it. Must not be called at the NUL. [any]
size_t bfr_utf8_read(const char *text, uint32_t *out_code);

#endif
