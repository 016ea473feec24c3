// SPDX-License-Identifier: Apache-2.0
// See cli_screen.h. Main thread, and signal handlers for what would kill the process at once. There is one terminal, so its former
// state is this file's own: a handler has no other way to it.
#include "cli_screen.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define WIDTH_MIN  20
#define HEIGHT_MIN 5

static const char enter[] = "\x1b[?1049h\x1b[?25l\x1b[2J";
static const char leave[] = "\x1b[0m\x1b[?25h\x1b[?1049l";
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static struct termios before;
static volatile sig_atomic_t entered;

static bool write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

void bfr_cli_screen_leave(void)
{
    if (!entered)
        return;
    entered = 0;
    (void)write_all(leave, sizeof leave - 1);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

// Calls nothing but write, tcsetattr and raise, which a handler may. The default action follows.
static void on_fatal(int number)
{
    bfr_cli_screen_leave();
    (void)raise(number);
}

static void catch_fatal(void)
{
    const struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        (void)sigaction(fatal[i], &action, NULL);
}

bool bfr_cli_screen_enter(void)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); // ISIG stays: ^C is SIGINT
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
        return false;
    entered = 1;
    catch_fatal();
    (void)atexit(bfr_cli_screen_leave);
    return write_all(enter, sizeof enter - 1);
}

void bfr_cli_screen_size(unsigned *out_width, unsigned *out_height)
{
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *out_width = size.ws_col == 0 ? 80 : size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
    *out_height = size.ws_row == 0 ? 24 : size.ws_row < HEIGHT_MIN ? HEIGHT_MIN : size.ws_row;
}

// Each line is wiped behind its text, the rest of the screen after the last: nothing flickers.
bool bfr_cli_screen_show(const char *text, size_t size)
{
    bool good = write_all("\x1b[H", 3);
    while (good && size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end == NULL ? size : (size_t)(end - text);
        bool last = end == NULL || length + 1 == size;
        good = write_all(text, length) && write_all("\x1b[K", 3) && (last || write_all("\r\n", 2));
        size -= end == NULL ? length : length + 1;
        text += end == NULL ? length : length + 1;
    }
    return good && write_all("\x1b[J", 3);
}
