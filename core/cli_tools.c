// SPDX-License-Identifier: Apache-2.0
// Finds the plugin that a command belongs to, loads it as the daemon would, and lets it do the work. Nothing of the work
// is known here.
#include "cli_tools.h"

#include <stdio.h>
#include <string.h>

#include "app.h"
#include "cli_plugin_dir.h"
#include "plugin_loader.h"

// Which plugin brings the commands that begin with a word. A table, so that a command need not load what is unrelated, and
// so that a plugin cannot take a word that others rely on.
static const struct {
    const char *word;
    const char *plugin;
    const char *summary;
} owners[] = {
    {"spool", "disk", "look at a stopped daemon's spool, check it, take batches out or put them in"},
    {"dlq", "disk", "dead letters: list, show, retry or purge them"},
};

#define OWNER_COUNT (sizeof owners / sizeof owners[0])

static const char *plugin_of(const char *word)
{
    for (size_t i = 0; i < OWNER_COUNT; i++)
        if (strcmp(owners[i].word, word) == 0)
            return owners[i].plugin;
    return NULL;
}

bool bfr_cli_tool_known(const char *word)
{
    return plugin_of(word) != NULL;
}

void bfr_cli_tool_help(FILE *stream)
{
    for (size_t i = 0; i < OWNER_COUNT; i++)
        fprintf(stream, "  %-24s %s\n", owners[i].word, owners[i].summary);
}

static const struct bfr_tool *tool_at(const struct bfr_plugin *plugin, uint32_t i)
{
    return (const struct bfr_tool *)(const void *)((const char *)plugin->tools + (size_t)i * plugin->tool_size);
}

static const struct bfr_tool *find_tool(const struct bfr_plugin *plugin, const char *first, const char *second)
{
    char words[128];
    snprintf(words, sizeof words, "%s %s", first, second);
    for (uint32_t i = 0; i < plugin->tool_count; i++)
        if (strcmp(tool_at(plugin, i)->words, words) == 0)
            return tool_at(plugin, i);
    return NULL;
}

static void print_usage(const struct bfr_tool *tool, FILE *stream)
{
    fprintf(stream, "Usage: bytefreezer-receiver %s %s\n", tool->words, tool->operands);
}

static void print_tools(const struct bfr_plugin *plugin, FILE *stream)
{
    for (uint32_t i = 0; i < plugin->tool_count; i++) {
        char line[128];
        snprintf(line, sizeof line, "%s %s", tool_at(plugin, i)->words, tool_at(plugin, i)->operands);
        fprintf(stream, "  %-32s %s\n", line, tool_at(plugin, i)->summary);
    }
}

// The value of option `name` at argv[i], taken out of argv with it; NULL when something else stands there. "" when the
// value is missing.
static const char *take_option(struct bfr_cli *cli, int i, const char *name)
{
    const char *word = cli->argv[i];
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0 || (word[length] != '=' && word[length] != '\0'))
        return NULL;
    bool apart = word[length] == '\0';
    const char *value = apart ? (i + 1 < cli->argc ? cli->argv[i + 1] : "") : word + length + 1;
    int used = apart && i + 1 < cli->argc ? 2 : 1;
    memmove(&cli->argv[i], &cli->argv[i + used], (size_t)(cli->argc - i - used + 1) * sizeof cli->argv[0]);
    cli->argc -= used;
    return value;
}

// The options that are the host's own; the others are the tool's.
static void take_host_options(struct bfr_cli *cli)
{
    for (int i = 0; i < cli->argc;) {
        const char *directory = take_option(cli, i, "--plugin-dir");
        const char *config = directory == NULL ? take_option(cli, i, "--config") : NULL;
        if (directory != NULL)
            cli->flags.plugin_dir = directory;
        else if (config != NULL)
            cli->config_path = config;
        else
            i++;
    }
}

int bfr_cli_tool_run(struct bfr_cli *cli)
{
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    char directory[4096];
    take_host_options(cli);
    if (!bfr_plugin_dir_find(cli, directory, sizeof directory))
        return BFR_EXIT_CONFIG;
    if (bfr_plugin_load(directory, plugin_of(cli->argv[0]), &plugin, &err) != BFR_OK) {
        fprintf(stderr, "bytefreezer-receiver: %s\n", err.text);
        return BFR_EXIT_CONFIG;
    }
    const char *second = cli->argc > 1 ? cli->argv[1] : "";
    const struct bfr_tool *tool = find_tool(plugin, cli->argv[0], second);
    bool help = strcmp(second, "--help") == 0;
    if (tool == NULL) {
        fprintf(help ? stdout : stderr, "'%s' is followed by one of:\n", cli->argv[0]);
        print_tools(plugin, help ? stdout : stderr);
        return help ? BFR_EXIT_OK : BFR_EXIT_USAGE;
    }
    if (cli->argc > 2 && strcmp(cli->argv[2], "--help") == 0) {
        print_usage(tool, stdout);
        return BFR_EXIT_OK;
    }
    int code = tool->run(cli->argc - 2, cli->argv + 2);
    if (code == BFR_TOOL_USAGE)
        print_usage(tool, stderr);
    return code == BFR_TOOL_GOOD ? BFR_EXIT_OK : code == BFR_TOOL_USAGE ? BFR_EXIT_USAGE : BFR_EXIT_FAILURE;
}
