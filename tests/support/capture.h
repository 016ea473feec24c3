// SPDX-License-Identifier: Apache-2.0
// Standard error into a file for a while, so that a test can read what was logged. Header-only; not thread-safe.
#ifndef BFR_TESTS_CAPTURE_H
#define BFR_TESTS_CAPTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct capture {
    FILE *file;
    int saved_fd;
};

static inline struct capture capture_begin(void)
{
    struct capture capture = {.file = tmpfile(), .saved_fd = dup(STDERR_FILENO)};
    if (capture.file == NULL || capture.saved_fd < 0 || dup2(fileno(capture.file), STDERR_FILENO) < 0)
        abort();
    return capture;
}

// Everything since capture_begin, NUL-terminated; free() it.
static inline char *capture_end(struct capture *capture)
{
    if (dup2(capture->saved_fd, STDERR_FILENO) < 0)
        abort();
    close(capture->saved_fd);
    long size = fseek(capture->file, 0, SEEK_END) == 0 ? ftell(capture->file) : -1;
    char *text = size >= 0 ? calloc((size_t)size + 1, 1) : NULL;
    rewind(capture->file);
    if (text == NULL || fread(text, 1, (size_t)size, capture->file) != (size_t)size)
        abort();
    fclose(capture->file);
    return text;
}

#endif
