// SPDX-License-Identifier: Apache-2.0
// `top`: looks at a running daemon again and again and shows what it saw (cli_top_view.c). Main thread; keys, signals and the
// daemon's replies are waited for together, so that q works while the daemon hangs.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "cli_api.h"
#include "cli_screen.h"
#include "cli_signals.h"
#include "cli_text.h"
#include "cli_top_view.h"
#include "cli_watch.h"
#include "clock.h"

#define PATIENCE_NS (5 * BFR_NS_PER_S) // for a reply
#define ERROR_MAX   2048

enum step { IDLE = 1, HEALTH, STATS };

struct top {
    const struct bfr_watch *watch;
    struct bfr_cli_api *api;
    enum step step;      // what is asked for now
    uint64_t asked_ns;   // since when
    uint64_t due_ns;     // the next look
    json_t *next_health; // of the look under way
    json_t *health, *stats, *earlier;
    uint64_t stats_ns, earlier_ns;
    char trouble[ERROR_MAX]; // "": none
    bool changed;            // draw
    bool quit;
};

// --- a look

static void fail_look(struct top *top)
{
    bfr_cli_api_cancel(top->api);
    json_decref(top->next_health);
    top->next_health = NULL;
    top->step = IDLE;
    top->changed = true;
}

static void ask(struct top *top, enum step step)
{
    top->step = step;
    top->asked_ns = bfr_clock_now(&bfr_clock_system);
    if (bfr_cli_api_begin(top->api, step == HEALTH ? "/api/v1/health" : "/api/v1/stats", NULL, NULL))
        return;
    snprintf(top->trouble, sizeof top->trouble, "out of memory");
    fail_look(top);
}

static void finish_look(struct top *top, json_t *stats)
{
    json_decref(top->earlier);
    json_decref(top->health);
    top->earlier = top->stats;
    top->earlier_ns = top->stats_ns;
    top->stats = stats;
    top->stats_ns = bfr_clock_now(&bfr_clock_system);
    top->health = top->next_health;
    top->next_health = NULL;
    top->trouble[0] = '\0';
    top->step = IDLE;
    top->changed = true;
}

static void take_reply(struct top *top)
{
    json_t *reply = bfr_cli_api_result(top->api, top->trouble, sizeof top->trouble);
    if (reply == NULL) {
        fail_look(top);
    } else if (top->step == HEALTH) {
        top->next_health = reply;
        ask(top, STATS);
    } else {
        finish_look(top, reply);
    }
}

static void look_when_due(struct top *top)
{
    uint64_t now = bfr_clock_now(&bfr_clock_system);
    if (top->step == IDLE && now >= top->due_ns) {
        top->due_ns = now + top->watch->interval_s * BFR_NS_PER_S;
        ask(top, HEALTH);
    } else if (top->step != IDLE && now - top->asked_ns > PATIENCE_NS) {
        snprintf(top->trouble, sizeof top->trouble, "the daemon at %s does not answer", bfr_cli_api_place(top->api));
        fail_look(top);
    }
}

// One wait, until something has happened or is due. `fds` are others to wait for.
static void turn(struct top *top, struct pollfd *fds, size_t count)
{
    look_when_due(top);
    uint64_t now = bfr_clock_now(&bfr_clock_system);
    uint64_t until = top->step == IDLE ? top->due_ns : top->asked_ns + PATIENCE_NS;
    int timeout_ms = until <= now ? 0 : (int)((until - now) / BFR_NS_PER_MS) + 1;
    if (bfr_cli_api_wait(top->api, fds, count, timeout_ms) && top->step != IDLE)
        take_reply(top);
}

// --- showing it

static char *draw(const struct top *top, unsigned width, unsigned height, bool live)
{
    const char *no_color = getenv("NO_COLOR");
    uint64_t now = bfr_clock_now(&bfr_clock_system);
    const struct bfr_top_view view = {
        .place = bfr_cli_api_place(top->api),
        .trouble = top->trouble[0] != '\0' ? top->trouble : NULL,
        .health = top->health,
        .stats = top->stats,
        .earlier = top->earlier,
        .seconds = (double)(top->stats_ns - top->earlier_ns) / (double)BFR_NS_PER_S,
        .age_s = (double)(now - top->stats_ns) / (double)BFR_NS_PER_S,
        .width = width,
        .height = height,
        .color = live && (no_color == NULL || no_color[0] == '\0'),
        .live = live,
    };
    return bfr_top_view_draw(&view);
}

static void show(struct top *top)
{
    unsigned width, height;
    bfr_cli_screen_size(&width, &height);
    char *text = draw(top, width, height, true);
    top->changed = false;
    if (text != NULL && !bfr_cli_screen_show(text, strlen(text)))
        top->quit = true;
    free(text);
}

// --- once

#define ONCE_WIDTH 200

// Two looks, because only two make a rate.
static int run_once(struct top *top)
{
    while (top->earlier == NULL && top->trouble[0] == '\0')
        turn(top, NULL, 0);
    if (top->trouble[0] != '\0') {
        fprintf(stderr, "bytefreezer-receiver: %s\n", top->trouble);
        return BFR_EXIT_FAILURE;
    }
    char *text = draw(top, ONCE_WIDTH, 0, false);
    if (text == NULL)
        return BFR_EXIT_FAILURE;
    fputs(text, stdout);
    free(text);
    return BFR_EXIT_OK;
}

// --- live

// Nothing can be done while stopped, so the terminal is given back before and taken again after.
static void stop_for_a_while(struct top *top)
{
    bfr_cli_screen_leave();
    (void)raise(SIGSTOP);
    top->quit = !bfr_cli_screen_enter();
    top->changed = true;
}

static void take_signal(struct top *top, int number)
{
    if (number == SIGTSTP)
        stop_for_a_while(top);
    else if (number == SIGWINCH)
        top->changed = true;
    else if (number != 0)
        top->quit = true;
}

static void take_keys(struct top *top)
{
    char keys[64];
    ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    if (count <= 0) // the terminal has gone
        top->quit = true;
    for (ssize_t i = 0; i < count; i++)
        top->quit |= keys[i] == 'q' || keys[i] == 'Q';
}

static int run_live(struct top *top)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, 0};
    struct pollfd fds[] = {{.fd = bfr_cli_signals_open(numbers), .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
    if (fds[0].fd < 0 || !bfr_cli_screen_enter()) {
        bfr_cli_screen_leave();
        fputs("bytefreezer-receiver: the terminal cannot be used; --once prints to anything\n", stderr);
        return BFR_EXIT_FAILURE;
    }
    top->changed = true;
    while (!top->quit) {
        if (top->changed)
            show(top);
        turn(top, fds, 2);
        take_signal(top, bfr_cli_signals_read(fds[0].fd));
        if (fds[1].revents != 0)
            take_keys(top);
    }
    bfr_cli_screen_leave();
    close(fds[0].fd);
    return BFR_EXIT_OK;
}

int bfr_cli_top_run(const struct bfr_watch *watch)
{
    struct top *top = calloc(1, sizeof *top);
    int code = top == NULL ? BFR_EXIT_FAILURE : bfr_cli_api_open(watch->cli, watch->api, &top->api);
    if (code != BFR_EXIT_OK)
        goto out;
    (void)bfr_cli_text_init();
    (void)signal(SIGPIPE, SIG_IGN);
    top->watch = watch;
    top->step = IDLE;
    bool live = !watch->once && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
    code = live ? run_live(top) : run_once(top);
out:
    if (top != NULL) {
        bfr_cli_api_close(top->api);
        json_decref(top->next_health);
        json_decref(top->health);
        json_decref(top->stats);
        json_decref(top->earlier);
    }
    free(top);
    return code;
}
