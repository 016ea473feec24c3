// SPDX-License-Identifier: Apache-2.0
// Prints the configuration in effect as YAML that reads back to the same settings: every key with its value or default,
// paths absolute, variables expanded, secrets as ***. Read-only, any thread.
#include <stdio.h>
#include <string.h>

#include "config_slots.h"
#include "config_state.h"
#include "utf8.h"

#define MASK "***"

// May `text` stand without quotes? Only what no YAML reader takes for anything but a text, or (`number`) a number.
static bool is_plain(const char *text, bool number)
{
    const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    if (text[0] == '\0' || text[strspn(text, allowed)] != '\0')
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0)
            return number && i < 2; // of a boolean
    }
    if (number)
        return true;
    return text[0] == '/' || (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
}

// Control characters, and what YAML takes for a line break or refuses to read raw.
static bool needs_escape(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff ||
           code == 0xfffe || code == 0xffff;
}

// `size` bytes of UTF-8 in double quotes. With `value` a '$' is doubled, because values are expanded when they are read.
static void print_quoted(FILE *stream, const char *text, size_t size, bool value)
{
    fputc('"', stream);
    for (const char *at = text; at < text + size;) {
        uint32_t code = 0;
        size_t length = bfr_utf8_read(at, &code);
        if (length == 0) // only the name of a directory can hold such a byte, and YAML cannot
            fputs(BFR_UTF8_REPLACEMENT, stream);
        else if (code == '"' || code == '\\')
            fprintf(stream, "\\%c", (char)code);
        else if (code == '$' && value)
            fputs("$$", stream);
        else if (needs_escape(code))
            fprintf(stream, "\\u%04x", (unsigned)code);
        else
            fwrite(at, 1, length, stream);
        at += length == 0 ? 1 : length;
    }
    fputc('"', stream);
}

static void print_scalar(FILE *stream, const struct bfr_option *option, const char *text)
{
    bool number = option->type != BFR_OPTION_STRING && option->type != BFR_OPTION_PATH &&
                  option->type != BFR_OPTION_LIST && option->type != BFR_OPTION_MAP;
    if ((option->flags & BFR_OPTION_SECRET) != 0 && text[0] != '\0')
        fputs("\"" MASK "\"", stream);
    else if (is_plain(text, number))
        fputs(text, stream);
    else
        print_quoted(stream, text, strlen(text), true);
}

static void print_list(FILE *stream, const struct bfr_option *option, const struct bfr_slot *slot)
{
    fputc('[', stream);
    for (size_t i = 0; i < slot->list_count; i++) {
        fputs(i == 0 ? "" : ", ", stream);
        print_scalar(stream, option, slot->list[i]);
    }
    fputs("]", stream);
}

// Elements are "key=value", and no key holds a '='.
static void print_map(FILE *stream, const struct bfr_option *option, const struct bfr_slot *slot)
{
    fputc('{', stream);
    for (size_t i = 0; i < slot->list_count; i++) {
        const char *key = slot->list[i], *value = strchr(key, '=') + 1;
        fputs(i == 0 ? "" : ", ", stream);
        print_quoted(stream, key, (size_t)(value - key) - 1, false);
        fputs(": ", stream);
        print_scalar(stream, option, value);
    }
    fputc('}', stream);
}

static void print_values(FILE *stream, const struct bfr_values *values, const char *indent)
{
    for (uint32_t i = 0; i < values->count; i++) {
        const struct bfr_option *option = &values->options[i];
        const struct bfr_slot *slot = &values->slots[i];
        if (!slot->set)
            continue;
        fprintf(stream, "%s%s: ", indent, option->name);
        if (option->type == BFR_OPTION_LIST)
            print_list(stream, option, slot);
        else if (option->type == BFR_OPTION_MAP)
            print_map(stream, option, slot);
        else
            print_scalar(stream, option, slot->text);
        fputc('\n', stream);
    }
}

// Behind `quotas.default`, the last section.
static void print_quotas(FILE *stream, const struct bfr_config *config)
{
    _Static_assert(BFR_CORE_QUOTAS_DEFAULT + 1 == BFR_CORE_SECTIONS, "what follows belongs to it");
    if (config->quota_count > 0)
        fprintf(stream, "  tenants:\n");
    for (size_t i = 0; i < config->quota_count; i++) {
        fprintf(stream, "    \"%s\":\n", config->quotas[i].tenant);
        print_values(stream, config->quotas[i].values, "      ");
    }
}

static void print_stages(FILE *stream, const struct bfr_config *config, bool services)
{
    const char *heading = services ? "services:\n" : "pipeline:\n";
    for (size_t i = 0; i < config->stage_count; i++) {
        const struct bfr_config_stage *stage = &config->stages[i];
        if (stage->entry.service != services)
            continue;
        fprintf(stream, "%s  - plugin: \"%s\"\n", heading, stage->entry.plugin);
        if (strcmp(stage->entry.name, stage->entry.plugin) != 0)
            fprintf(stream, "    name: \"%s\"\n", stage->entry.name);
        print_values(stream, stage->values, "    ");
        heading = "";
    }
}

uint32_t bfr_config_show(const struct bfr_config *config, FILE *stream, struct bfr_err *err)
{
    for (size_t i = 0; i < config->stage_count; i++) {
        if (config->stages[i].values == NULL)
            return bfr_err_set(err, BFR_EINVAL, "stage '%s' cannot be shown: its keys have not been checked",
                               config->stages[i].entry.name);
    }
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const char *name = bfr_core_sections[s].name;
        const char *inner = strchr(name, '.');
        if (inner != NULL)
            fprintf(stream, "  %s:\n", inner + 1);
        else if (name[0] != '\0')
            fprintf(stream, "%s:\n", name);
        print_values(stream, config->sections[s], inner != NULL ? "    " : name[0] == '\0' ? "" : "  ");
    }
    print_quotas(stream, config);
    print_stages(stream, config, false);
    print_stages(stream, config, true);
    if (fflush(stream) != 0 || ferror(stream))
        return bfr_err_set(err, BFR_EFAIL, "the configuration could not be written out");
    return BFR_OK;
}
