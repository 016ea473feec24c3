// SPDX-License-Identifier: Apache-2.0
// argv to a command. The commands themselves are in cli_*.c, the daemon's life is in app.c.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "cli.h"
#include "cli_dlq.h"
#include "cli_tools.h"
#include "cli_watch.h"

static const struct bfr_command commands[] = {
    {"run", "", 0, 0, "receive batches until told to stop (the default)", bfr_cli_run},
    {"check", "[--live]", 0, 0, "say whether the configuration is good; --live: and the far ends too", bfr_cli_check},
    {"config show", "", 0, 0, "print the configuration in effect, secrets masked", bfr_cli_config_show},
    {"config schema", "", 0, 0, "print a JSON Schema of the configuration", bfr_cli_config_schema},
    {"plugins list", "", 0, 0, "list the plugins in the plugin directory", bfr_cli_plugins_list},
    {"plugins info", "NAME", 1, 1, "describe a plugin and its options", bfr_cli_plugins_info},
    {"plugins check", "FILE.so", 1, 1, "say whether a plugin would be loaded", bfr_cli_plugins_check},
    {"token hash", "", 0, 0, "read a token from standard input, print its hash for a tenants file", bfr_cli_token_hash},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream)
{
    fputs("Usage: bytefreezer-receiver [COMMAND] [--config FILE] [--plugin-dir DIR] [--log-level LEVEL]\n"
          "\n"
          "Takes batches over HTTP and puts every one, unchanged, where the configured pipeline ends.\n"
          "\n"
          "Commands:\n",
          stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s %s", commands[i].words, commands[i].operands);
        fprintf(stream, "  %-24s %s\n", line, commands[i].summary);
    }
    bfr_cli_tool_help(stream);
    bfr_cli_watch_help(stream);
    fputs("\n"
          "Options:\n"
          "  --config FILE            configuration; default: $CONFIG_FILE, /etc/bytefreezer-receiver/config.yaml,\n"
          "                           /etc/bytefreezer/config.yaml, ./config.yaml, the first that is there\n"
          "  --plugin-dir DIR         where plugins are loaded from; overrides plugin_dir of the configuration\n"
          "  --log-level LEVEL        debug, info, warn or error; overrides logging.level\n"
          "  --version                print the version\n"
          "  --help                   print this\n"
          "\n"
          "Exit codes: 0 good, 1 failure, 2 wrong usage, 78 wrong configuration or refused plugin.\n",
          stream);
}

// How many arguments the words of `command` take up at the front of argv, 0 when they are not there.
static int match_words(const struct bfr_command *command, int argc, char **argv)
{
    const char *rest = command->words;
    int matched = 0;
    while (*rest != '\0') {
        size_t length = strcspn(rest, " ");
        if (matched >= argc || strlen(argv[matched]) != length || strncmp(argv[matched], rest, length) != 0)
            return 0;
        matched++;
        rest += length;
        rest += strspn(rest, " ");
    }
    return matched;
}

static const struct bfr_command *find_command(struct bfr_cli *cli)
{
    if (cli->argc == 0)
        return &commands[0];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        int matched = match_words(&commands[i], cli->argc, cli->argv);
        if (matched > 0) {
            cli->argc -= matched;
            cli->argv += matched;
            return &commands[i];
        }
    }
    return NULL;
}

BFR_PRINTF(1, 2) static int refuse_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bytefreezer-receiver: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see 'bytefreezer-receiver --help'\n");
    va_end(args);
    return BFR_EXIT_USAGE;
}

// `first` is no command: the first word of some, or nothing we know.
static int refuse_command(const char *first)
{
    char words[128] = "";
    size_t length = strlen(first), used = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *known = commands[i].words;
        if (length > 0 && strncmp(known, first, length) == 0 && known[length] == ' ' && used < sizeof words)
            used +=
                (size_t)snprintf(words + used, sizeof words - used, "%s%s", used == 0 ? "" : ", ", known + length + 1);
    }
    if (used > 0)
        return refuse_usage("'%s' is followed by one of: %s", first, words);
    return refuse_usage("unknown command '%s'", first);
}

enum option_code { OPTION_CONFIG = 256, OPTION_PLUGIN_DIR, OPTION_LOG_LEVEL, OPTION_LIVE, OPTION_VERSION, OPTION_HELP };

// Returns -1 to go on, or an exit code. `order` is getopt's: "+:" stops at the first word, ":" takes options anywhere.
static int parse_options(int argc, char **argv, const char *order, struct bfr_cli *cli)
{
    static const struct option options[] = {{"config", required_argument, NULL, OPTION_CONFIG},
                                            {"plugin-dir", required_argument, NULL, OPTION_PLUGIN_DIR},
                                            {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
                                            {"live", no_argument, NULL, OPTION_LIVE},
                                            {"version", no_argument, NULL, OPTION_VERSION},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {NULL, 0, NULL, 0}};
    opterr = 0;
    optind = 0; // begin anew
    // The previous product took its flags with one dash too, hence _only.
    for (int code; (code = getopt_long_only(argc, argv, order, options, NULL)) != -1;) {
        switch (code) {
        case OPTION_CONFIG:
            cli->config_path = optarg;
            break;
        case OPTION_PLUGIN_DIR:
            cli->flags.plugin_dir = optarg;
            break;
        case OPTION_LOG_LEVEL:
            cli->flags.log_level = optarg;
            break;
        case OPTION_LIVE:
            cli->live = true;
            break;
        case OPTION_VERSION:
            puts("bytefreezer-receiver " BFR_VERSION);
            return BFR_EXIT_OK;
        case OPTION_HELP:
            print_help(stdout);
            return BFR_EXIT_OK;
        case ':':
            return refuse_usage("option '%s' needs a value", argv[optind - 1]);
        default:
            return refuse_usage("unknown option '%s'", argv[optind - 1]);
        }
    }
    cli->argc = argc - optind;
    cli->argv = argv + optind;
    return -1;
}

// A standard stream that the parent closed would be the number of the next socket or file, which would then be sent what
// is meant for a person. Its place is taken, the wrong way round, so that using it still fails.
static void occupy_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); // the lowest free number: fd
    }
}

// What was printed counts only when it has been written: a full disk must not look like a good answer.
static int finish_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "bytefreezer-receiver: cannot write to standard output: %s\n", strerror(errno));
    return code == BFR_EXIT_OK ? BFR_EXIT_FAILURE : code;
}

static int run_command(int argc, char **argv)
{
    struct bfr_cli cli = {.argv = argv, .flags = {.environment = (const char *const *)environ}};
    // The options behind these commands are their own.
    int code = parse_options(argc, argv, "+:", &cli);
    if (code < 0 && cli.argc > 0 && bfr_cli_tool_known(cli.argv[0]))
        return strcmp(cli.argv[0], BFR_CLI_DLQ_WORD) == 0 ? bfr_cli_dlq_run(&cli) : bfr_cli_tool_run(&cli);
    if (code < 0 && cli.argc > 0 && bfr_cli_watch_known(cli.argv[0]))
        return bfr_cli_watch_run(&cli);
    if (code < 0)
        code = parse_options(argc, argv, ":", &cli);
    if (code >= 0)
        return code;
    const char *first = cli.argc > 0 ? cli.argv[0] : "";
    const struct bfr_command *command = find_command(&cli);
    if (command == NULL)
        return refuse_command(first);
    if (cli.argc < command->operand_min)
        return refuse_usage("'%s' needs an operand", command->words);
    if (cli.argc > command->operand_max)
        return refuse_usage("unexpected operand '%s'", cli.argv[command->operand_max]);
    if (cli.live && command->run != bfr_cli_check)
        return refuse_usage("--live is an option of 'check' alone");
    return command->run(&cli);
}

int main(int argc, char **argv)
{
    occupy_standard_streams();
    return finish_output(run_command(argc, argv));
}
