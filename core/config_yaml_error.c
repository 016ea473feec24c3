// SPDX-License-Identifier: Apache-2.0
// Syntax errors of the YAML text. libyaml's own words speak of its state machine ("did not find expected key"); the table
// says what a person most likely did, and whether the place to look at is where reading stopped or where it began.
#include "config_yaml_error.h"

#include <string.h>

struct wording {
    const char *problem; // libyaml's text, or how it begins
    bool at_context;     // report where the construct began
    const char *text;
};

static const struct wording wordings[] = {
    {"found unexpected end of stream", true, "the quoted text that begins here has no closing quote"},
    {"found unexpected document indicator", true, "the quoted text that begins here has no closing quote"},
    {"mapping values are not allowed in this context", false,
     "a ':' is out of place here; check the indentation, or quote a value that holds ': '"},
    {"did not find expected key", false,
     "this does not line up with the keys above; give all keys of one mapping the same indentation"},
    {"did not find expected '-' indicator", false,
     "this does not line up with the list above; begin each entry with '- ' in the same column"},
    {"block sequence entries are not allowed in this context", false,
     "a list entry ('- ') is out of place here; begin the list on a line of its own"},
    {"did not find expected ',' or ']'", false, "a ',' or the closing ']' of a list is missing before this"},
    {"did not find expected ',' or '}'", false, "a ',' or the closing '}' of a mapping is missing before this"},
    {"could not find expected ':'", true, "a key begins here but has no ':' behind it; write 'key: value'"},
    {"found unknown escape character", false, "unknown escape; write \\\\ for a backslash, or use single quotes"},
    {"found a tab character", false, "a tab cannot indent; use spaces"},
    {"found undefined tag handle", false, "tags are not supported; quote a text that begins with '!'"},
    {"control characters are not allowed", false, "a control character; remove it"},
    {"did not find expected alphabetic or numeric character", true,
     "anchors and aliases are not supported; quote a text that begins with '&' or '*'"},
    {"did not find expected <document start>", false,
     "text after the end of the document; a configuration is one mapping of keys"},
};

static const struct wording *find_wording(const char *problem)
{
    for (size_t i = 0; i < sizeof wordings / sizeof wordings[0]; i++) {
        if (strncmp(problem, wordings[i].problem, strlen(wordings[i].problem)) == 0)
            return &wordings[i];
    }
    return NULL;
}

struct bfr_place bfr_yaml_place_at(const char *file, const char *text, size_t offset)
{
    struct bfr_place place = {file, 1, 1};
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n' || (text[i] == '\r' && (i + 1 == offset || text[i + 1] != '\n'))) {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80 && text[i] != '\r') {
            place.column++;
        }
    }
    return place;
}

// The byte at a mark. Marks count characters, so the text is walked.
static char char_at(const char *text, size_t size, yaml_mark_t mark)
{
    size_t left = mark.index;
    size_t at = 0;
    while (at < size && (left > 0 || ((unsigned char)text[at] & 0xc0) == 0x80)) {
        if (((unsigned char)text[at] & 0xc0) != 0x80)
            left--;
        at++;
    }
    return at < size ? text[at] : '\0';
}

static void report_bad_start(struct bfr_diag *diag, struct bfr_place place, char found)
{
    if (found == '\t')
        bfr_diag_error(diag, place, "a tab cannot indent; use spaces");
    else
        bfr_diag_error(diag, place, "a value cannot begin with '%c'; put it in quotes", found);
}

void bfr_yaml_report(const yaml_parser_t *yaml, const char *file, const char *text, size_t size, struct bfr_diag *diag)
{
    const char *problem = yaml->problem == NULL ? "out of memory" : yaml->problem;
    const struct wording *wording = find_wording(problem);
    yaml_mark_t mark = yaml->problem_mark;
    if (wording != NULL && wording->at_context && yaml->context != NULL)
        mark = yaml->context_mark;
    struct bfr_place place = {file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
    if (yaml->error == YAML_READER_ERROR)
        place = bfr_yaml_place_at(file, text, yaml->problem_offset < size ? yaml->problem_offset : size);

    if (strcmp(problem, "found character that cannot start any token") == 0)
        report_bad_start(diag, place, char_at(text, size, mark));
    else if (wording != NULL && !wording->at_context && yaml->context != NULL && yaml->context_mark.line < mark.line)
        bfr_diag_error(diag, place, "%s (it began on line %zu)", wording->text, yaml->context_mark.line + 1);
    else if (wording != NULL)
        bfr_diag_error(diag, place, "%s", wording->text);
    else
        bfr_diag_error(diag, place, "not valid YAML: %s", problem);
}
