// SPDX-License-Identifier: Apache-2.0
// Keeps the first and the last error of a batch, see trouble.h.
#include "trouble.h"

#include <stdlib.h>
#include <string.h>

// A copy of at most TROUBLE_TEXT_MAX bytes that does not end inside a UTF-8 character (RFC 3629: continuation bytes
// are 10xxxxxx). NULL when memory is short.
static char *copy_text(const char *text)
{
    size_t length = strnlen(text, TROUBLE_TEXT_MAX + 1);

    if (length > TROUBLE_TEXT_MAX) {
        length = TROUBLE_TEXT_MAX;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    return strndup(text, length);
}

void bfr_trouble_add(struct trouble *trouble, uint32_t attempts, const char *text, int64_t wall_ns)
{
    if (attempts > trouble->attempts)
        trouble->attempts = attempts;
    if (trouble->first_ns == 0)
        trouble->first_ns = wall_ns;
    trouble->last_ns = wall_ns;
    if (text == NULL)
        return;
    if (trouble->first_text == NULL)
        trouble->first_text = copy_text(text);
    char *last = copy_text(text);
    if (last != NULL) {
        free(trouble->last_text);
        trouble->last_text = last;
    }
}

void bfr_trouble_bury(struct trouble *trouble, uint32_t reason)
{
    if (trouble->reason == 0)
        trouble->reason = reason;
}

void bfr_trouble_clear(struct trouble *trouble)
{
    free(trouble->first_text);
    free(trouble->last_text);
    *trouble = (struct trouble){0};
}

void bfr_trouble_redrive(struct trouble *trouble, int64_t once_ns)
{
    int64_t redriven_ns = once_ns != 0 ? once_ns : trouble->redriven_ns;
    bfr_trouble_clear(trouble);
    trouble->redriven_ns = redriven_ns;
}
