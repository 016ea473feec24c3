// SPDX-License-Identifier: Apache-2.0
// `dlq ls` and `dlq show` on a stopped daemon's spool. They change nothing. One line of JSON has what the API says of a letter,
// and what {id}.json says besides.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "filter.h"
#include "letter_print.h"
#include "tool_letters.h"

// A letter that is still in its segment and was asked for.
struct inside {
    uint64_t sequence;
    char *text; // JSON, one line
};

struct view {
    const struct tool_request *request;
    struct inside *inside; // by sequence, as segments and records come
    size_t inside_count;
    uint64_t letters;
    uint64_t bytes;
    bool good;
    int (*print)(struct view *view, const json_t *letter);
};

static bool keep_inside(struct view *view, uint64_t sequence, char *text)
{
    struct inside *grown = reallocarray(view->inside, view->inside_count + 1, sizeof *grown);
    if (grown == NULL || text == NULL) {
        view->inside = grown != NULL ? grown : view->inside;
        free(text);
        bfr_tool_complain("out of memory");
        return false;
    }
    view->inside = grown;
    grown[view->inside_count++] = (struct inside){sequence, text};
    return true;
}

static bool collect_inside(void *arg, const struct tool_segment *segment)
{
    struct view *view = arg;
    bool good = true;
    for (size_t i = 0; i < segment->found->count; i++) {
        const struct found_record *found = &segment->found->records[i];
        if (!bfr_tool_is_letter(segment->found, found))
            continue;
        struct tool_record *record = bfr_tool_read(segment, found);
        good = good && record != NULL;
        if (record == NULL)
            continue;
        struct letter_note note;
        bfr_tool_letter_note(record, found, &note);
        if (bfr_filter_matches(&view->request->filter, &note.batch, note.id))
            good = keep_inside(view, found->sequence, bfr_letter_text(&note, true)) && good;
        free(record);
    }
    return good;
}

// One letter as JSON, to the printer.
static void print_text(struct view *view, const char *text)
{
    json_t *letter = text == NULL ? NULL : json_loads(text, 0, NULL);
    if (letter == NULL || view->print(view, letter) != 0) {
        bfr_tool_complain("out of memory");
        view->good = false;
    }
    view->letters++;
    view->bytes += (uint64_t)json_integer_value(json_object_get(letter, "size"));
    json_decref(letter);
}

static void print_filed(struct view *view, const struct disk_dir *dir, uint64_t sequence)
{
    struct letter_note note;
    if (!bfr_letter_read(dir->letters, sequence, &note)) {
        bfr_tool_complain("dead letter %016" PRIx64 ": its .json cannot be read", sequence);
        view->good = false;
        return;
    }
    if (bfr_filter_matches(&view->request->filter, &note.batch, note.id)) {
        char *text = bfr_letter_text(&note, true);
        print_text(view, text);
        free(text);
    }
    bfr_letter_note_free(&note);
}

// Those with files and those without, in order of id.
static void view_all(struct view *view, const struct disk_dir *dir)
{
    size_t filed_count = 0, at = 0;
    uint64_t *filed = dir->letters < 0 ? NULL : bfr_letter_list(dir->letters, false, &filed_count);
    view->good = bfr_tool_each_segment(dir, collect_inside, view);
    for (size_t i = 0; i < view->inside_count; i++) {
        for (; at < filed_count && filed[at] < view->inside[i].sequence; at++)
            print_filed(view, dir, filed[at]);
        print_text(view, view->inside[i].text);
        free(view->inside[i].text);
    }
    for (; at < filed_count; at++)
        print_filed(view, dir, filed[at]);
    free(view->inside);
    free(filed);
}

// --- printing

static int print_line(struct view *view, const json_t *letter)
{
    (void)view;
    if (!bfr_letter_print_json(letter))
        return -1;
    putchar('\n');
    return 0;
}

static int print_row(struct view *view, const json_t *letter)
{
    bfr_letter_print_row(letter, view->letters == 0);
    return 0;
}

static int print_fields(struct view *view, const json_t *letter)
{
    (void)view;
    return bfr_letter_print_fields(letter) ? 0 : -1;
}

// --- the commands

int bfr_tool_dlq_ls(int argc, char **argv)
{
    struct tool_request request;
    struct disk_dir dir;
    if (!bfr_tool_request_parse(argc, argv, false, &request) || request.dry_run || request.sink_count > 0)
        return BFR_TOOL_USAGE;
    if (!bfr_tool_open_reading(&dir, request.directory, TOOL_DLQ_WAY_OUT))
        return BFR_TOOL_FAILED;
    struct view view = {.request = &request, .print = request.json ? print_line : print_row};
    view_all(&view, &dir);
    if (!request.json)
        printf("%" PRIu64 " dead letters, %" PRIu64 " bytes\n", view.letters, view.bytes);
    bfr_disk_dir_close(&dir);
    return view.good ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}

int bfr_tool_dlq_show(int argc, char **argv)
{
    struct tool_request request;
    struct disk_dir dir;
    if (!bfr_tool_request_parse(argc, argv, true, &request) || request.dry_run || request.sink_count > 0 ||
        request.selects)
        return BFR_TOOL_USAGE;
    if (!bfr_tool_open_reading(&dir, request.directory, TOOL_DLQ_WAY_OUT))
        return BFR_TOOL_FAILED;
    request.filter.id = request.id;
    struct view view = {.request = &request, .print = request.json ? print_line : print_fields};
    view_all(&view, &dir);
    if (view.letters == 0)
        bfr_tool_complain("there is no dead letter '%s' in '%s'; 'dlq ls' lists them", request.id, request.directory);
    bfr_disk_dir_close(&dir);
    return view.good && view.letters > 0 ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}
