// SPDX-License-Identifier: Apache-2.0
// For the tests of the plugin host: what the log says while something runs.
#ifndef TEST_PLUGIN_SUPPORT_H
#define TEST_PLUGIN_SUPPORT_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Standard error, caught in memory. Use a stage name of its own per expected line: the log folds repeats.
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

// Exactly one line, an error of stage `stage` that says `breach` and names `plugin`.
static inline void assert_misuse(const struct capture *capture, const char *stage, const char *breach,
                                 const char *plugin)
{
    char part[256];
    const char *end = strchr(capture->text, '\n');
    if (end == NULL || end[1] != '\0')
        fail_msg("expected one line in the log, got:\n%s", capture->text);
    assert_log_has(capture, "level=error");
    snprintf(part, sizeof part, "inst=%s ", stage);
    assert_log_has(capture, part);
    snprintf(part, sizeof part, "\"%s\"", breach);
    assert_log_has(capture, part);
    snprintf(part, sizeof part, "plugin=%s ", plugin);
    assert_log_has(capture, part);
    assert_log_has(capture, "a bug in this plugin");
}

static inline void assert_silent(const struct capture *capture)
{
    assert_string_equal(capture->text, "");
}

#endif
