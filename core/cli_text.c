// SPDX-License-Identifier: Apache-2.0
// See cli_text.h. Main thread. What has no width of its own - controls, marks that turn the direction of writing, parts of other
// characters - is shown as '?', because what follows it would not be what it seems.
#include "cli_text.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "utf8.h"

static bool is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool bfr_cli_text_init(void)
{
    (void)setlocale(LC_CTYPE, "");
    return is_utf8();
}

struct glyph {
    const char *text;
    size_t size; // bytes to print
    size_t read; // bytes of the source
    unsigned columns;
};

static struct glyph next_glyph(const char *text)
{
    uint32_t code = 0;
    size_t size = bfr_utf8_read(text, &code);
    struct glyph glyph = {"?", 1, size == 0 ? 1 : size, 1};
    int columns = -1;
    if (size > 0 && code < 0x7f)
        columns = code >= 0x20 ? 1 : -1;
    else if (size > 0 && is_utf8())
        columns = wcwidth((wchar_t)code);
    if (columns > 0) {
        glyph.text = text;
        glyph.size = size;
        glyph.columns = (unsigned)columns;
    }
    return glyph;
}

static unsigned columns_of(const char *text)
{
    unsigned columns = 0;
    while (*text != '\0') {
        struct glyph glyph = next_glyph(text);
        columns += glyph.columns;
        text += glyph.read;
    }
    return columns;
}

unsigned bfr_cli_text_fit(FILE *out, const char *text, unsigned width)
{
    unsigned used = 0;
    bool cut = width > 0 && columns_of(text) > width;
    while (*text != '\0') {
        struct glyph glyph = next_glyph(text);
        if (cut && used + glyph.columns > width - 1)
            break;
        fwrite(glyph.text, 1, glyph.size, out);
        used += glyph.columns;
        text += glyph.read;
    }
    if (cut) {
        fputc('~', out);
        used++;
    }
    return used;
}

unsigned bfr_cli_text_print(FILE *out, const char *text, unsigned width)
{
    unsigned used = bfr_cli_text_fit(out, text, width);
    for (; used < width; used++)
        fputc(' ', out);
    return used;
}
