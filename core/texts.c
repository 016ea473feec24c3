// SPDX-License-Identifier: Apache-2.0
// The list itself. Runs wherever its owner does; holds no secrets.
#include "texts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool make_room(struct bfr_texts *texts)
{
    if (texts->count < texts->room)
        return true;
    size_t room = texts->room == 0 ? 8 : texts->room * 2;
    char **list = realloc(texts->list, room * sizeof *list);
    if (list == NULL)
        return false;
    texts->list = list;
    texts->room = room;
    return true;
}

void bfr_texts_add(struct bfr_texts *texts, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int size = vasprintf(&text, format, args);
    va_end(args);
    if (size >= 0 && make_room(texts)) {
        texts->list[texts->count++] = text;
        return;
    }
    if (size >= 0)
        free(text);
    texts->failed = true;
}

void bfr_texts_join(const struct bfr_texts *texts, char *out, size_t room)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < texts->count && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i == 0 ? "" : ", ", texts->list[i]);
}

void bfr_texts_clear(struct bfr_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->list[i]);
    free(texts->list);
    *texts = (struct bfr_texts){0};
}
