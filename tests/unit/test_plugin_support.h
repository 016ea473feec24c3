// SPDX-License-Identifier: Apache-2.0
// For the tests of the plugin host: what the log says while something runs.
#ifndef TEST_PLUGIN_SUPPORT_H
#define TEST_PLUGIN_SUPPORT_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Standard error, caught in memory. The log folds what a stage repeats, so each expected line needs a stage or a text
// of its own.
struct capture {
    int kept; // the real standard error
    int memory;
    char text[4096];
};

static inline void capture_begin(struct capture *capture)
{
    fflush(stderr);
    capture->kept = dup(STDERR_FILENO);
    capture->memory = memfd_create("stderr", 0);
    assert_true(capture->kept >= 0 && capture->memory >= 0);
    assert_true(dup2(capture->memory, STDERR_FILENO) >= 0);
}

static inline void capture_end(struct capture *capture)
{
    fflush(stderr);
    assert_true(dup2(capture->kept, STDERR_FILENO) >= 0);
    close(capture->kept);
    ssize_t size = pread(capture->memory, capture->text, sizeof capture->text - 1, 0);
    assert_true(size >= 0);
    capture->text[size] = '\0';
    close(capture->memory);
}

static inline void assert_log_has(const struct capture *capture, const char *part)
{
    if (strstr(capture->text, part) == NULL)
        fail_msg("'%s' is not in the log:\n%s", part, capture->text);
}

// The only line of stage `stage`, or NULL when it has none; cut off behind its end. Lines of other stages may be there:
// the log writes what it folded when it gets round to it.
static inline char *only_line(struct capture *capture, const char *stage)
{
    char part[64];
    char *found = NULL;
    snprintf(part, sizeof part, " inst=%s ", stage);
    for (char *line = strtok(capture->text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strstr(line, part) == NULL)
            continue;
        if (found != NULL)
            fail_msg("more than one line of stage '%s':\n%s\n%s", stage, found, line);
        found = line;
    }
    return found;
}

// Stage `stage` wrote exactly one line: an error that says `breach` and blames `plugin`.
static inline void assert_misuse(struct capture *capture, const char *stage, const char *breach, const char *plugin)
{
    char part[256];
    const char *line = only_line(capture, stage);
    if (line == NULL)
        fail_msg("stage '%s' wrote no line; expected '%s'", stage, breach);
    snprintf(part, sizeof part, "level=error inst=%s msg=\"%s\" plugin=%s ", stage, breach, plugin);
    if (strstr(line, part) == NULL || strstr(line, "a bug in this plugin") == NULL)
        fail_msg("'%s' is not in:\n%s", part, line);
}

static inline void assert_silent(struct capture *capture, const char *stage)
{
    const char *line = only_line(capture, stage);
    if (line != NULL)
        fail_msg("unexpected:\n%s", line);
}

#endif
