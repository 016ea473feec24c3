// SPDX-License-Identifier: Apache-2.0
// One check, one child process: forks, watches the clock, prints the line. The parent never has a thread, so the child
// starts clean.
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, HARD_LIMIT_FACTOR = 6 };

static int verdict_pipe = -1; // in the child: where the reason goes

__attribute__((format(printf, 1, 0))) static void write_reason(const char *format, va_list arguments)
{
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    for (char *at = line; *at != '\0'; at++)
        if (*at == '\n')
            *at = ' ';
    (void)!write(verdict_pipe, line, strlen(line));
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_reason(format, arguments);
    va_end(arguments);
    _exit(EXIT_FAILED);
}

void skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_reason(format, arguments);
    va_end(arguments);
    _exit(EXIT_SKIPPED);
}

// Read until the child is gone or the time is up; false then.
static bool read_reason(int from, int limit_ms, char *out, size_t room)
{
    size_t used = 0;
    for (;;) {
        struct pollfd wanted = {.fd = from, .events = POLLIN};
        int events = poll(&wanted, 1, limit_ms);
        if (events < 0 && errno == EINTR)
            continue;
        ssize_t got = events > 0 ? read(from, out + used, room - 1 - used) : -1;
        if (got > 0)
            used += (size_t)got;
        out[used] = '\0';
        if (got <= 0 || used == room - 1)
            return events > 0;
    }
}

static bool print_result(const char *promise, bool in_time, int status, const char *reason)
{
    if (!in_time)
        printf("FAIL  %s: it did not come to an end\n", promise);
    else if (WIFSIGNALED(status))
        printf("FAIL  %s: ended by signal %d (%s)\n", promise, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == EXIT_SKIPPED)
        printf("skip  %s: %s\n", promise, reason);
    else if (WEXITSTATUS(status) != 0)
        printf("FAIL  %s: %s\n", promise, reason[0] != '\0' ? reason : "a sanitizer has reported, see above");
    else
        printf("ok    %s\n", promise);
    return in_time && WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_SKIPPED);
}

static void *nothing(void *arg)
{
    return arg;
}

// ThreadSanitizer starts a thread of its own beside the first that a process makes. Here it comes before any check
// counts.
static void wake_sanitizer(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

static _Noreturn void run_child(const struct check *check, const struct subject *subject, int to)
{
    verdict_pipe = to;
    wake_sanitizer();
    check->run(subject);
    exit(0); // not _exit: the leak checker of a sanitized build runs here
}

bool check_run(const struct check *check, const struct subject *subject)
{
    int ends[2];
    fflush(NULL);
    if (pipe(ends) != 0) {
        printf("FAIL  %s: no pipe: %s\n", check->promise, strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        run_child(check, subject, ends[1]);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        printf("FAIL  %s: no process: %s\n", check->promise, strerror(errno));
        return false;
    }

    char reason[1024];
    bool in_time = read_reason(ends[0], (int)subject->wait_ms * HARD_LIMIT_FACTOR, reason, sizeof reason);
    if (!in_time)
        kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(ends[0]);
    return print_result(check->promise, in_time, status, reason);
}
