// SPDX-License-Identifier: Apache-2.0
// Where a text stops being UTF-8. Pure, any thread.
#include "config_tree.h"
#include "utf8.h"

size_t bfr_utf8_check(const char *text, size_t size)
{
    uint32_t code = 0;
    size_t at = 0;
    while (at < size) {
        size_t length = text[at] == '\0' ? 1 : bfr_utf8_read(text + at, &code);
        if (length == 0)
            return at;
        at += length;
    }
    return size;
}
