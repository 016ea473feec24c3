// SPDX-License-Identifier: Apache-2.0
// The list of findings. Used on the thread that reads the configuration. Never prints by itself, never stops at the
// first error; a finding that finds no memory is still counted.
#include "config_diag.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config_arena.h"
#include "log.h"

struct finding {
    struct finding *next; // newest first
    size_t file_rank;     // order in which the file was first named
    size_t sequence;
    struct bfr_place place;
    bool error;
    const char *text;
};

struct bfr_diag {
    struct bfr_arena arena;
    struct finding *newest;
    size_t count;
    size_t errors;
    size_t lost; // findings for which memory was short
};

struct bfr_diag *bfr_diag_new(void)
{
    return calloc(1, sizeof(struct bfr_diag));
}

void bfr_diag_free(struct bfr_diag *diag)
{
    if (diag == NULL)
        return;
    bfr_arena_free(&diag->arena);
    free(diag);
}

size_t bfr_diag_errors(const struct bfr_diag *diag)
{
    return diag->errors;
}

// Give `finding` the file's name and rank of an earlier finding, or new ones.
static void set_file(struct bfr_diag *diag, struct finding *finding, const char *file)
{
    for (const struct finding *other = diag->newest; other != NULL; other = other->next) {
        if (strcmp(other->place.file, file) == 0) {
            finding->place.file = other->place.file;
            finding->file_rank = other->file_rank;
            return;
        }
    }
    finding->place.file = bfr_arena_copy(&diag->arena, file, strlen(file));
    finding->file_rank = diag->count;
}

// A finding is one line on a terminal whatever stood in the file.
static void clean_line(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

BFR_PRINTF(4, 0)
static void add_finding(struct bfr_diag *diag, struct bfr_place place, bool error, const char *format, va_list args)
{
    if (error)
        diag->errors++;
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    clean_line(text);

    struct finding *finding = bfr_arena_alloc(&diag->arena, sizeof *finding);
    if (finding == NULL)
        goto lost;
    finding->place = place;
    finding->error = error;
    finding->sequence = diag->count;
    finding->text = bfr_arena_copy(&diag->arena, text, strlen(text));
    set_file(diag, finding, place.file);
    if (finding->text == NULL || finding->place.file == NULL)
        goto lost;
    finding->next = diag->newest;
    diag->newest = finding;
    diag->count++;
    return;
lost:
    diag->lost++;
}

void bfr_diag_error(struct bfr_diag *diag, struct bfr_place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_finding(diag, place, true, format, args);
    va_end(args);
}

void bfr_diag_warning(struct bfr_diag *diag, struct bfr_place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_finding(diag, place, false, format, args);
    va_end(args);
}

static int compare_sizes(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left;
    const struct finding *b = right;
    int order = compare_sizes(a->file_rank, b->file_rank);
    if (order == 0)
        order = compare_sizes(a->place.line, b->place.line);
    if (order == 0)
        order = compare_sizes(a->place.column, b->place.column);
    return order != 0 ? order : compare_sizes(a->sequence, b->sequence);
}

static bool same_finding(const struct finding *a, const struct finding *b)
{
    return a->file_rank == b->file_rank && a->place.line == b->place.line && a->place.column == b->place.column &&
           a->error == b->error && strcmp(a->text, b->text) == 0;
}

// "file:line:col", as far as it is known.
static void write_place(const struct bfr_place *place, char *out, size_t size)
{
    if (place->line > 0 && place->column > 0)
        snprintf(out, size, "%s:%u:%u", place->file, place->line, place->column);
    else if (place->line > 0)
        snprintf(out, size, "%s:%u", place->file, place->line);
    else
        snprintf(out, size, "%s", place->file);
}

static void print_finding(const struct finding *finding, const char *place, void *stream)
{
    fprintf(stream, "%s: %s: %s\n", place, finding->error ? "error" : "warning", finding->text);
}

// A file that is not a configuration at all must not fill the log each time it is read.
#define LOGGED_MAX 50

static void log_finding(const struct finding *finding, const char *place, void *arg)
{
    size_t *logged = arg;
    if (++*logged > LOGGED_MAX)
        return;
    bfr_say(finding->error ? BFR_LOG_ERROR : BFR_LOG_WARN, "config", "finding in the configuration", "at", place,
            "finding", finding->text, NULL);
}

// Each finding once, by place. False when memory is too short for it.
static bool visit_findings(const struct bfr_diag *diag,
                           void (*visit)(const struct finding *finding, const char *place, void *arg), void *arg)
{
    struct finding *sorted = calloc(diag->count + 1, sizeof *sorted);
    size_t count = 0;
    for (const struct finding *finding = diag->newest; finding != NULL && sorted != NULL; finding = finding->next)
        sorted[count++] = *finding;
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, compare_findings);
    for (size_t i = 0; i < count; i++) {
        char place[4200];
        if (i > 0 && same_finding(&sorted[i - 1], &sorted[i]))
            continue;
        write_place(&sorted[i].place, place, sizeof place);
        visit(&sorted[i], place, arg);
    }
    free(sorted);
    return sorted != NULL && diag->lost == 0;
}

static const char text_lost[] = "out of memory; not every finding could be kept";

static void list_finding(const struct finding *finding, const char *place, void *out)
{
    if (finding->error)
        bfr_texts_add(out, "%s: %s", place, finding->text);
}

void bfr_diag_list(const struct bfr_diag *diag, struct bfr_texts *out)
{
    if (!visit_findings(diag, list_finding, out))
        bfr_texts_add(out, "%s", text_lost);
}

void bfr_diag_print(const struct bfr_diag *diag, FILE *stream)
{
    if (!visit_findings(diag, print_finding, stream))
        fprintf(stream, "configuration: error: %s\n", text_lost);
}

void bfr_diag_log(const struct bfr_diag *diag)
{
    size_t logged = 0;
    if (!visit_findings(diag, log_finding, &logged))
        bfr_say(BFR_LOG_ERROR, "config", text_lost, NULL);
    if (logged > LOGGED_MAX)
        bfr_say(BFR_LOG_WARN, "config", "more findings in the configuration; 'check' prints all of them", "findings",
                bfr_num((int64_t)logged).text, NULL);
}

struct bfr_quoted bfr_quote(const char *text)
{
    enum { CUT = sizeof((struct bfr_quoted *)0)->text - sizeof "''..." };
    struct bfr_quoted quoted;
    size_t size = strlen(text);
    bool cut = size > CUT;
    if (cut) {
        size = CUT;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) // not inside a UTF-8 character
            size--;
    }
    snprintf(quoted.text, sizeof quoted.text, "'%.*s%s'", (int)size, text, cut ? "..." : "");
    clean_line(quoted.text);
    return quoted;
}
