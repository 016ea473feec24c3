// SPDX-License-Identifier: Apache-2.0
// `tail`: a line for each batch that a running daemon accepts. Reads /api/v1/tail piece by piece, takes it apart by lines, and
// prints each at once. Main thread; nothing of a name reaches the terminal but what can be shown.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "cli_api.h"
#include "cli_signals.h"
#include "cli_text.h"
#include "cli_watch.h"
#include "clock.h"

#define LINE_BYTES_MAX 16384
#define SILENCE_NS     (30 * BFR_NS_PER_S) // the daemon says something every 5 s
#define PATH_BYTES_MAX 1024
#define GLANCE_MS      1000
#define COMPLETE       "the daemon ended it: it is stopping"
#define UNREADABLE     "what came is not what a daemon of this version sends"

struct follower {
    const struct bfr_watch *watch;
    char line[LINE_BYTES_MAX];
    size_t size;
    uint64_t heard_ns;
    bool headed;     // the heading is out
    int output;      // errno of standard output; EPIPE: nobody reads it any more
    bool unreadable; // what came was no line of ours
};

static const char *text_at(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    return text != NULL ? text : "";
}

static void print_heading(struct follower *follower)
{
    if (!follower->headed)
        printf("%-30s %10s  TENANT/DATASET/FILENAME\n", "TIME", "BYTES");
    follower->headed = true;
}

static void print_row(struct follower *follower, const json_t *line)
{
    static const char *const names[] = {"tenant_id", "dataset_id", "filename"};
    const json_t *dropped = json_object_get(line, "dropped");
    print_heading(follower);
    if (dropped != NULL) {
        printf("... %" JSON_INTEGER_FORMAT " lines left out: they came faster than they were read\n",
               json_integer_value(dropped));
        return;
    }
    bfr_cli_text_print(stdout, text_at(line, "time"), 30);
    printf(" %10" JSON_INTEGER_FORMAT "  ", json_integer_value(json_object_get(line, "bytes")));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fputs(i > 0 ? "/" : "", stdout);
        bfr_cli_text_print(stdout, text_at(line, names[i]), 0);
    }
    puts(json_is_true(json_object_get(line, "duplicate")) ? "  duplicate" : "");
}

static bool print_json(const json_t *line)
{
    return json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0 && putchar('\n') != EOF;
}

// An empty line is a sign of life.
static bool take_line(struct follower *follower)
{
    if (follower->size == 0)
        return true;
    json_t *line = json_loadb(follower->line, follower->size, 0, NULL);
    bool good = json_is_object(line);
    if (good && follower->watch->json)
        (void)print_json(line);
    else if (good)
        print_row(follower, line);
    json_decref(line);
    follower->unreadable = !good;
    return good;
}

static bool take_bytes(void *arg, const char *bytes, size_t size)
{
    struct follower *follower = arg;
    follower->heard_ns = bfr_clock_now(&bfr_clock_system);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            if (!take_line(follower))
                return false;
            follower->size = 0;
        } else if (follower->size == sizeof follower->line) {
            follower->unreadable = true;
            return false;
        } else {
            follower->line[follower->size++] = bytes[i];
        }
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    follower->output = errno;
    return false;
}

static int say_end(const char *why)
{
    fprintf(stderr, "bytefreezer-receiver: %s\n", why);
    return BFR_EXIT_FAILURE;
}

// What could not be written is for nobody.
static void drop_output(void)
{
    __fpurge(stdout);
    clearerr(stdout);
}

// Whoever reads us has gone, as `head` does: no failure.
static int leave_quietly(void)
{
    drop_output();
    return BFR_EXIT_OK;
}

// A full disk, say: to go on would leave lines out without a word.
static int leave_unwritten(int error)
{
    drop_output();
    fprintf(stderr, "bytefreezer-receiver: cannot write to standard output: %s\n", strerror(error));
    return BFR_EXIT_FAILURE;
}

static int conclude(struct bfr_cli_api *api, const struct follower *follower)
{
    char error[2048];
    if (follower->output != 0)
        return follower->output == EPIPE ? leave_quietly() : leave_unwritten(follower->output);
    if (follower->unreadable)
        return say_end(UNREADABLE);
    return say_end(bfr_cli_api_complete(api, error, sizeof error) ? COMPLETE : error);
}

static int follow(struct bfr_cli_api *api, struct follower *follower, int signals)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = STDOUT_FILENO, .events = 0}};
    while (!bfr_cli_api_wait(api, fds, 1, GLANCE_MS)) {
        if (bfr_cli_signals_read(signals) != 0)
            return BFR_EXIT_OK;
        if (poll(&fds[1], 1, 0) > 0 && (fds[1].revents & POLLERR) != 0) // a pipe without a reader
            return leave_quietly();
        if (bfr_clock_now(&bfr_clock_system) - follower->heard_ns > SILENCE_NS)
            return say_end("the daemon has been silent for 30 s; it hangs, or the way to it is broken");
    }
    return conclude(api, follower);
}

int bfr_cli_tail_run(const struct bfr_watch *watch)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, 0};
    struct follower *follower = calloc(1, sizeof *follower);
    struct bfr_cli_api *api = NULL;
    char path[PATH_BYTES_MAX];
    int signals = -1;
    (void)bfr_cli_text_init();
    int code = follower == NULL ? BFR_EXIT_FAILURE : bfr_cli_api_open(watch->cli, watch->api, &api);
    if (code != BFR_EXIT_OK)
        goto out;
    (void)signal(SIGPIPE, SIG_IGN); // a write says so too
    signals = bfr_cli_signals_open(numbers);
    follower->watch = watch;
    follower->heard_ns = bfr_clock_now(&bfr_clock_system);
    if (signals < 0 || !bfr_cli_api_select(api, "/api/v1/tail?", watch->tenant, watch->dataset, path, sizeof path) ||
        !bfr_cli_api_begin(api, path, take_bytes, follower))
        code = say_end("the tenant or the dataset is too long, or memory is short");
    else
        code = follow(api, follower, signals);
out:
    if (signals >= 0)
        close(signals);
    bfr_cli_api_close(api);
    free(follower);
    return code;
}
