// SPDX-License-Identifier: Apache-2.0
// One plugin's option table for people: `plugins info NAME`. Pure but for the stream.
#include <stdio.h>
#include <string.h>

#include "config_load.h"
#include "config_slots.h"

static const char *kind_text(uint32_t kind)
{
    static const char *const names[] = {"", "auth", "queue", "sink", "service"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown kind";
}

static const char *type_text(uint32_t type)
{
    static const char *const names[] = {"",
                                        "text",
                                        "true or false",
                                        "whole number",
                                        "number",
                                        "size (64KiB, 10MiB, 1GB)",
                                        "duration (500ms, 30s, 5m, 2h, 7d)",
                                        "path",
                                        "list of texts",
                                        "mapping of texts"};
    return type < sizeof names / sizeof names[0] ? names[type] : "unknown type";
}

static void print_option(FILE *stream, const struct bfr_option *option, int width)
{
    fprintf(stream, "  %-*s  ", width, option->name);
    if (option->choices != NULL)
        fprintf(stream, "one of %s", option->choices);
    else
        fputs(type_text(option->type), stream);
    if (option->min != NULL)
        fprintf(stream, ", at least %s", option->min);
    if (option->max != NULL)
        fprintf(stream, ", at most %s", option->max);
    if (option->type == BFR_OPTION_DURATION)
        fprintf(stream, ", a plain number counts %s", option->unit == NULL ? "s" : option->unit);
    if ((option->flags & BFR_OPTION_REQUIRED) != 0)
        fputs(", required", stream);
    if (option->inherits != NULL)
        fprintf(stream, ", default %s of the core", option->inherits);
    else if (option->fallback != NULL)
        fprintf(stream, ", default %s", option->fallback[0] == '\0' ? "\"\"" : option->fallback);
    if ((option->flags & BFR_OPTION_SECRET) != 0)
        fprintf(stream, ", secret (or its file as %s_file)", option->name);
    if ((option->flags & BFR_OPTION_LIVE) != 0)
        fputs(", may change by reload", stream);
    fputc('\n', stream);
    if (option->help != NULL)
        fprintf(stream, "  %*s  %s\n", width, "", option->help);
}

void bfr_config_describe(const struct bfr_plugin *plugin, FILE *stream)
{
    struct bfr_arena arena = {0};
    const struct bfr_option *options =
        bfr_options_copy(&arena, plugin->options, plugin->option_count, plugin->option_size);
    int width = 0;
    for (uint32_t i = 0; options != NULL && i < plugin->option_count; i++) {
        int length = (int)strlen(options[i].name);
        width = length > width ? length : width;
    }
    fprintf(stream, "%s %s, %s: %s\n", plugin->name, plugin->version, kind_text(plugin->kind), plugin->summary);
    fputs(plugin->option_count == 0 ? "\nNo options.\n" : "\nOptions:\n", stream);
    for (uint32_t i = 0; options != NULL && i < plugin->option_count; i++)
        print_option(stream, &options[i], width);
    bfr_arena_free(&arena);
}
