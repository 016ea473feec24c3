// SPDX-License-Identifier: Apache-2.0
// The command lines of `tail` and `top`. Main thread; the commands themselves are in cli_tail.c and cli_top.c.
#include "cli_watch.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

#define INTERVAL_MAX_S 3600

struct command {
    const char *word, *operands, *summary, *help;
    int (*run)(const struct bfr_watch *watch);
};

static const struct command commands[] = {
    {"top", "[--api URL] [--interval SECONDS] [--once]", "watch a running daemon: flow, stages, queues, tenants",
     "Shows how a running daemon is, once a second, until q is pressed. In a pipe, or with --once, prints it once and "
     "ends.\n"
     "\n"
     "  --interval SECONDS       between two looks; default: 1\n"
     "  --once                   print it once, without control sequences; exit 1 when the daemon cannot be asked\n",
     bfr_cli_top_run},
    {"tail", "[--api URL] [--tenant T] [--dataset D] [--json]", "follow what a running daemon accepts",
     "Prints a line for each batch that a running daemon accepts, from now on, until it is interrupted (exit 0) or the "
     "daemon\n"
     "ends it (exit 1). Lines hold names and sizes, nothing of what is in a batch.\n"
     "\n"
     "  --tenant T, --dataset D  only of these\n"
     "  --json                   the lines of /api/v1/tail: one JSON object each\n",
     bfr_cli_tail_run},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].word, word) == 0)
            return &commands[i];
    }
    return NULL;
}

bool bfr_cli_watch_known(const char *word)
{
    return find_command(word) != NULL;
}

void bfr_cli_watch_help(FILE *stream)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-24s %s\n", commands[i].word, commands[i].summary);
}

static int print_help(const struct command *command)
{
    printf("Usage: bytefreezer-receiver %s %s\n"
           "\n"
           "%s"
           "  --api URL                where its API is; default: where the configuration has it (--config FILE)\n"
           "\n"
           "The token is RECEIVER_ADMIN_TOKEN, else the configuration's.\n",
           command->word, command->operands, command->help);
    return BFR_EXIT_OK;
}

static bool read_interval(const char *text, unsigned *out)
{
    size_t length = strlen(text);
    if (length == 0 || length > 4 || strspn(text, "0123456789") != length)
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out >= 1 && *out <= INTERVAL_MAX_S;
}

enum option_code { API = 256, CONFIG, PLUGIN_DIR, HELP, TENANT, DATASET, JSON, INTERVAL, ONCE };

static const struct option options[] = {{"api", required_argument, NULL, API},
                                        {"config", required_argument, NULL, CONFIG},
                                        {"plugin-dir", required_argument, NULL, PLUGIN_DIR},
                                        {"help", no_argument, NULL, HELP},
                                        {"tenant", required_argument, NULL, TENANT},
                                        {"dataset", required_argument, NULL, DATASET},
                                        {"json", no_argument, NULL, JSON},
                                        {"interval", required_argument, NULL, INTERVAL},
                                        {"once", no_argument, NULL, ONCE},
                                        {NULL, 0, NULL, 0}};

// NULL: good; else what is wrong.
static const char *take_option(int code, struct bfr_cli *cli, struct bfr_watch *out)
{
    switch (code) {
    case API:
        out->api = optarg;
        return NULL;
    case CONFIG:
        cli->config_path = optarg;
        return NULL;
    case PLUGIN_DIR:
        cli->flags.plugin_dir = optarg;
        return NULL;
    case TENANT:
        out->tenant = optarg;
        return NULL;
    case DATASET:
        out->dataset = optarg;
        return NULL;
    case JSON:
        out->json = true;
        return NULL;
    case INTERVAL:
        return read_interval(optarg, &out->interval_s) ? NULL : "--interval wants whole seconds from 1 to 3600";
    case ONCE:
        out->once = true;
        return NULL;
    default:
        return code == ':' ? "an option needs a value" : "unknown option";
    }
}

static bool belongs(int code, const struct command *command)
{
    bool tail = command->run == bfr_cli_tail_run;
    return code < TENANT || (code >= INTERVAL) != tail;
}

static int refuse(const struct command *command, const char *why)
{
    fprintf(stderr, "bytefreezer-receiver: %s\nUsage: bytefreezer-receiver %s %s\n", why, command->word,
            command->operands);
    return BFR_EXIT_USAGE;
}

int bfr_cli_watch_run(struct bfr_cli *cli)
{
    const struct command *command = find_command(cli->argv[0]);
    struct bfr_watch watch = {.cli = cli, .interval_s = 1};
    opterr = 0;
    optind = 0;
    for (int code; (code = getopt_long(cli->argc, cli->argv, ":", options, NULL)) != -1;) {
        if (code == HELP)
            return print_help(command);
        const char *error =
            belongs(code, command) ? take_option(code, cli, &watch) : "that option belongs to another command";
        if (error != NULL)
            return refuse(command, error);
    }
    if (optind < cli->argc)
        return refuse(command, "unexpected operand");
    return command->run(&watch);
}
