// SPDX-License-Identifier: Apache-2.0
// The dead letters of a running daemon: the same commands and the same output as on a directory, through /api/v1/dlq. A member
// that is not named is any. Main thread.
#include "cli_dlq_api.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "cli_api.h"
#include "letter_json.h"
#include "letter_print.h"

struct request {
    const char *api;                              // NULL: the configuration says
    const char *tenant, *dataset, *filename, *id; // NULL: not named
    const char *operand;
    bool json;
    bool dry_run;
};

struct command {
    const char *word, *operands;
    bool operand; // an id
    bool selects; // at least one member must be named
    int (*run)(struct bfr_cli_api *api, const struct request *request);
};

// --- ls

struct listing {
    const struct request *request;
    uint64_t letters;
    uint64_t bytes;
};

static bool is_wanted(const char *wanted, const char *value)
{
    return wanted == NULL || strcmp(wanted, "*") == 0 || strcmp(wanted, value) == 0;
}

static void list_letter(struct listing *listing, const json_t *letter)
{
    if (!is_wanted(listing->request->filename, bfr_letter_field(letter, "filename")) ||
        !is_wanted(listing->request->id, bfr_letter_field(letter, "id")))
        return;
    if (listing->request->json) {
        (void)bfr_letter_print_json(letter);
        putchar('\n');
    } else {
        bfr_letter_print_row(letter, listing->letters == 0);
    }
    listing->letters++;
    listing->bytes += (uint64_t)json_integer_value(json_object_get(letter, "size"));
}

// The page behind `cursor` ("": the first). NULL after an error was said.
static json_t *get_page(struct bfr_cli_api *api, const struct request *request, const char *cursor)
{
    char place[256], path[2048];
    bool first = cursor[0] == '\0';
    snprintf(place, sizeof place, "/api/v1/dlq/files?limit=1000&%s%s%s", first ? "" : "cursor=", cursor,
             first ? "" : "&");
    if (bfr_cli_api_select(api, place, request->tenant, request->dataset, path, sizeof path))
        return bfr_cli_api_call(api, path, NULL);
    fputs("bytefreezer-receiver: the tenant or the dataset is too long, or memory is short\n", stderr);
    return NULL;
}

static int run_ls(struct bfr_cli_api *api, const struct request *request)
{
    struct listing listing = {.request = request};
    char cursor[128] = "";
    do {
        json_t *page = get_page(api, request, cursor), *letter;
        size_t i;
        if (page == NULL)
            return BFR_EXIT_FAILURE;
        json_array_foreach(json_object_get(page, "data"), i, letter) list_letter(&listing, letter);
        snprintf(cursor, sizeof cursor, "%s", bfr_letter_field(page, "next"));
        json_decref(page);
    } while (cursor[0] != '\0');
    if (!request->json)
        printf("%llu dead letters, %llu bytes\n", (unsigned long long)listing.letters,
               (unsigned long long)listing.bytes);
    return BFR_EXIT_OK;
}

// --- show

static int run_show(struct bfr_cli_api *api, const struct request *request)
{
    char path[512];
    char *id = bfr_cli_api_escape(api, request->operand);
    json_t *letter = NULL;
    if (id != NULL) {
        snprintf(path, sizeof path, "/api/v1/dlq/files/%s", id);
        letter = bfr_cli_api_call(api, path, NULL);
    }
    bfr_cli_api_release(id);
    if (letter == NULL)
        return BFR_EXIT_FAILURE;
    if (request->json) {
        (void)bfr_letter_print_json(letter);
        putchar('\n');
    } else {
        (void)bfr_letter_print_fields(letter);
    }
    json_decref(letter);
    return BFR_EXIT_OK;
}

// --- retry, purge

static int run_change(struct bfr_cli_api *api, const struct request *request, const char *path)
{
    json_t *body =
        json_pack("{s:s, s:s, s:s*, s:s*, s:b}", "tenant_id", request->tenant != NULL ? request->tenant : "*",
                  "dataset_id", request->dataset != NULL ? request->dataset : "*", "filename", request->filename, "id",
                  request->id, "dry_run", request->dry_run);
    if (body == NULL) {
        fprintf(stderr, "bytefreezer-receiver: the names must be UTF-8\n");
        return BFR_EXIT_USAGE;
    }
    json_t *reply = bfr_cli_api_call(api, path, body);
    json_decref(body);
    if (reply == NULL)
        return BFR_EXIT_FAILURE;
    bfr_letter_print_safely(bfr_letter_field(reply, "message"));
    putchar('\n');
    json_decref(reply);
    return BFR_EXIT_OK;
}

static int run_retry(struct bfr_cli_api *api, const struct request *request)
{
    return run_change(api, request, "/api/v1/dlq/retry");
}

static int run_purge(struct bfr_cli_api *api, const struct request *request)
{
    return run_change(api, request, "/api/v1/dlq/purge");
}

// --- the command line

static const struct command commands[] = {
    {"ls", "[--api URL] [--tenant T] [--dataset D] [--file NAME] [--id ID] [--json]", false, false, run_ls},
    {"show", "ID [--api URL] [--json]", true, false, run_show},
    {"retry", "[--api URL] --tenant T [--dataset D] [--file NAME] [--id ID] [--dry-run]", false, true, run_retry},
    {"purge", "[--api URL] --tenant T [--dataset D] [--file NAME] [--id ID] [--dry-run]", false, true, run_purge},
};

static int refuse(const struct command *command, const char *why)
{
    fprintf(stderr, "bytefreezer-receiver: %s\nUsage: bytefreezer-receiver dlq %s %s\n", why, command->word,
            command->operands);
    return BFR_EXIT_USAGE;
}

enum option_code { API = 256, TENANT, DATASET, FILE_NAME, ID, CONFIG, PLUGIN_DIR, JSON, DRY_RUN };

static bool take_option(int code, struct bfr_cli *cli, struct request *out)
{
    const char **const places[] = {&out->api, &out->tenant,      &out->dataset,         &out->filename,
                                   &out->id,  &cli->config_path, &cli->flags.plugin_dir};
    if (code >= API && code <= PLUGIN_DIR)
        *places[code - API] = optarg;
    else if (code == JSON)
        out->json = true;
    else if (code == DRY_RUN)
        out->dry_run = true;
    else
        return false;
    return true;
}

// NULL: good; else what is wrong.
static const char *read_request(const struct command *command, struct bfr_cli *cli, struct request *out)
{
    static const struct option options[] = {{"api", required_argument, NULL, API},
                                            {"tenant", required_argument, NULL, TENANT},
                                            {"dataset", required_argument, NULL, DATASET},
                                            {"file", required_argument, NULL, FILE_NAME},
                                            {"id", required_argument, NULL, ID},
                                            {"config", required_argument, NULL, CONFIG},
                                            {"plugin-dir", required_argument, NULL, PLUGIN_DIR},
                                            {"json", no_argument, NULL, JSON},
                                            {"dry-run", no_argument, NULL, DRY_RUN},
                                            {NULL, 0, NULL, 0}};
    int argc = cli->argc - 1;
    char **argv = cli->argv + 1;
    opterr = 0;
    optind = 0;
    for (int code; (code = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (!take_option(code, cli, out))
            return code == ':' ? "an option needs a value" : "unknown option";
    }
    out->operand = optind < argc ? argv[optind] : NULL;
    if (argc - optind != (command->operand ? 1 : 0))
        return command->operand ? "say one ID; 'dlq ls' lists them" : "unexpected operand";
    bool selects = out->tenant != NULL || out->dataset != NULL || out->filename != NULL || out->id != NULL;
    if (command->selects && !selects)
        return "say which dead letters: --tenant, --dataset, --file or --id; --tenant '*' is all of them";
    if ((command->operand && selects) || (command->selects && out->json) || (!command->selects && out->dry_run))
        return "that option belongs to another command";
    return NULL;
}

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].word, word) == 0)
            return &commands[i];
    }
    return NULL;
}

int bfr_cli_dlq_api_run(struct bfr_cli *cli)
{
    const struct command *command = cli->argc < 2 ? NULL : find_command(cli->argv[1]);
    struct request request = {.json = false};
    struct bfr_cli_api *api = NULL;
    if (command == NULL) {
        fprintf(stderr, "bytefreezer-receiver: 'dlq' is followed by one of: ls, show, retry, purge; see "
                        "'bytefreezer-receiver dlq --help'\n");
        return BFR_EXIT_USAGE;
    }
    const char *error = read_request(command, cli, &request);
    if (error != NULL)
        return refuse(command, error);
    int code = bfr_cli_api_open(cli, request.api, &api);
    if (code == BFR_EXIT_OK)
        code = command->run(api, &request);
    bfr_cli_api_close(api);
    return code;
}
