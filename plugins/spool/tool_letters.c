// SPDX-License-Identifier: Apache-2.0
// See tool_letters.h.
#include "tool_letters.h"

#include <string.h>

#include "letter.h"

// Where the value of an option goes; NULL: there is no such option with a value.
static const char **value_place(struct tool_request *request, const char *option)
{
    const struct {
        const char *name;
        const char **place;
    } options[] = {{"--dir", &request->directory},
                   {"--tenant", &request->filter.tenant},
                   {"--dataset", &request->filter.dataset},
                   {"--file", &request->filter.filename},
                   {"--id", &request->filter.id}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, option) == 0)
            return options[i].place;
    return NULL;
}

// argv[*i] and what belongs to it, "--name VALUE" or "--name=VALUE".
static bool parse_value(struct tool_request *request, int argc, char **argv, int *i)
{
    char name[32];
    const char *equals = strchr(argv[*i], '=');
    size_t length = equals != NULL ? (size_t)(equals - argv[*i]) : strlen(argv[*i]);
    if (length >= sizeof name)
        return false;
    memcpy(name, argv[*i], length);
    name[length] = '\0';
    const char **place = value_place(request, name);
    if (strcmp(name, "--sink") == 0 && request->sink_count < RECORD_CONSUMERS_MAX)
        place = &request->sinks[request->sink_count++];
    if (place == NULL || *place != NULL || (equals == NULL && *i + 1 == argc))
        return false;
    *place = equals != NULL ? equals + 1 : argv[++*i];
    if (**place != '\0')
        return true;
    bfr_tool_complain("option '%s' is empty; '*' stands for all", name);
    return false;
}

static bool take_operand(struct tool_request *request, const char *word)
{
    if (request->id != NULL)
        return false;
    request->id = word;
    return true;
}

bool bfr_tool_request_parse(int argc, char **argv, bool operand, struct tool_request *out)
{
    *out = (struct tool_request){.filter = {.size = sizeof out->filter}};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            out->json = true;
        else if (strcmp(argv[i], "--dry-run") == 0)
            out->dry_run = true;
        else if (argv[i][0] == '-' ? !parse_value(out, argc, argv, &i) : !take_operand(out, argv[i]))
            return false;
    }
    struct bfr_filter *filter = &out->filter;
    out->selects = filter->tenant != NULL || filter->dataset != NULL || filter->filename != NULL || filter->id != NULL;
    filter->tenant = filter->tenant != NULL ? filter->tenant : "*";
    filter->dataset = filter->dataset != NULL ? filter->dataset : "*";
    return out->directory != NULL && (out->id != NULL) == operand;
}

void bfr_tool_letter_note(const struct tool_record *record, const struct found_record *found, struct letter_note *out)
{
    const struct bfr_batch *batch = &record->batch;
    uint32_t reason = found->burial & 0xff;
    *out = (struct letter_note){.batch = *batch};
    bfr_letter_id(found->sequence, out->id);
    out->letter = bfr_letter_of(batch, out->id);
    out->letter.reason = reason != 0 ? reason : (uint32_t)BFR_REASON_REJECTED;
    out->letter.attempts = found->burial >> 8;
    for (uint32_t i = 0; i < record->consumer_count; i++)
        if ((found->buried >> i & 1) != 0)
            out->consumers[out->consumer_count++] = record->consumers[i];
}
