// SPDX-License-Identifier: Apache-2.0
// The log: level, format, folding and the way to stderr, for the whole process. Runs on whatever thread logs; one lock
// makes lines come out whole and in order. Never allocates, never fails its caller, and never waits long for a reader
// that has stopped reading: then lines are dropped, counted, and the count is logged when there is room again.
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log_fold.h"
#include "log_line.h"

#define PATIENCE_MS 100          // for a full pipe, once; while it stays full there is no waiting at all
#define SAY_MAX     ((size_t)32) // keys and values of bfr_say: 16 pairs

static void emit_line(struct bfr_log_line *line, uint64_t events);

static atomic_uint log_level = BFR_LOG_INFO;
static atomic_uint log_format = BFR_LOG_LOGFMT;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // guards what follows
static struct bfr_log_fold fold = {.emit = emit_line};
static uint64_t dropped; // lines since the last one that came through
static bool torn;        // the last line stopped in its middle

void bfr_log_configure(uint32_t level, enum bfr_log_format format)
{
    atomic_store_explicit(&log_level, level, memory_order_relaxed);
    atomic_store_explicit(&log_format, format, memory_order_relaxed);
}

uint32_t bfr_log_level(void)
{
    return atomic_load_explicit(&log_level, memory_order_relaxed);
}

void bfr_log_set_level(uint32_t level)
{
    atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

bool bfr_log_enabled(uint32_t level)
{
    return level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

// Writable at once, or after some patience? A pipe that says so takes a whole line of up to PIPE_BUF bytes without
// blocking, also when the descriptor is in blocking mode, as stderr usually is.
static bool can_write(void)
{
    struct pollfd stderr_poll = {.fd = STDERR_FILENO, .events = POLLOUT};
    int ready = 0;
    do {
        ready = poll(&stderr_poll, 1, dropped > 0 ? 0 : PATIENCE_MS);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

// Normally one write. A socket in non-blocking mode may take part of a line: the rest follows if there is room, else
// the next line begins with a newline, so that the torn one harms only itself.
static bool write_bytes(const char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size && can_write()) {
        ssize_t wrote = write(STDERR_FILENO, bytes + done, size - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            break;
    }
    if (done > 0)
        torn = done < size;
    return done == size;
}

static bool write_line(const struct bfr_log_line *line)
{
    if (torn && !write_bytes("\n", 1))
        return false;
    return write_bytes(line->text, line->size);
}

static bool report_dropped(void)
{
    const struct bfr_number count = bfr_num((int64_t)dropped);
    const char *const fields[] = {"lines", count.text, "hint", "whoever reads standard error is too slow", NULL};
    struct bfr_log_line line;
    bfr_log_line_begin(&line, atomic_load_explicit(&log_format, memory_order_relaxed),
                       bfr_clock_wall(&bfr_clock_system), BFR_LOG_WARN, "log", "log lines were dropped", fields);
    bfr_log_line_end(&line, 1);
    return write_line(&line);
}

// Under the lock.
static void emit_line(struct bfr_log_line *line, uint64_t events)
{
    bfr_log_line_end(line, events);
    if (dropped > 0 && report_dropped())
        dropped = 0;
    if (dropped > 0 || !write_line(line))
        dropped++;
}

static const char *find_field(const char *const *fields, const char *name)
{
    for (; fields != NULL && fields[0] != NULL && fields[1] != NULL; fields += 2) {
        if (strcmp(fields[0], name) == 0)
            return fields[1];
    }
    return NULL;
}

// What makes an event one of its own (log_fold.h).
static const char *find_name(const char *const *fields)
{
    const char *kept = find_field(fields, "kept");
    return kept != NULL ? kept : find_field(fields, "finding");
}

static void empty_at_exit(void)
{
    pthread_mutex_lock(&lock);
    bfr_log_fold_empty(&fold);
    pthread_mutex_unlock(&lock);
}

static void register_exit(void)
{
    (void)atexit(empty_at_exit); // without it only the last counts are lost
}

void bfr_log_write(uint32_t level, const char *inst, const char *message, const char *const *fields)
{
    if (!bfr_log_enabled(level))
        return;
    int error = errno; // a caller may log first and look at errno afterwards
    pthread_once(&exit_once, register_exit);
    struct bfr_log_line line;
    pthread_mutex_lock(&lock);
    bfr_log_line_begin(&line, atomic_load_explicit(&log_format, memory_order_relaxed),
                       bfr_clock_wall(&bfr_clock_system), level, inst, message, fields);
    if (level > BFR_LOG_DEBUG)
        bfr_log_fold_add(&fold, bfr_clock_now(&bfr_clock_system), level, inst, message, find_name(fields), &line);
    else
        emit_line(&line, 1);
    pthread_mutex_unlock(&lock);
    errno = error;
}

void bfr_say(uint32_t level, const char *inst, const char *message, ...)
{
    if (!bfr_log_enabled(level))
        return;
    const char *fields[SAY_MAX + 1];
    size_t count = 0;
    va_list list;
    va_start(list, message);
    while (count < SAY_MAX && (fields[count] = va_arg(list, const char *)) != NULL)
        count++;
    va_end(list);
    fields[count] = NULL;
    bfr_log_write(level, inst, message, fields);
}

void bfr_log_tick(void)
{
    pthread_mutex_lock(&lock);
    bfr_log_fold_sweep(&fold, bfr_clock_now(&bfr_clock_system));
    pthread_mutex_unlock(&lock);
}
