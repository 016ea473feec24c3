// SPDX-License-Identifier: Apache-2.0
// Reads queries with libevent's parser and bodies with Jansson, and turns both into what jobs work on. Runs on the admin
// thread; nothing of a request is kept.
#include "http_admin_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

#include "http_admin_state.h"
#include "log.h"
#include "utf8.h"

// --- queries

// Characters, because that is what JSON Schema counts; a byte that belongs to none counts as one.
static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (uint32_t code; *text != '\0'; count++) {
        size_t size = bfr_utf8_read(text, &code);
        text += size == 0 ? 1 : size;
    }
    return count;
}

// `room` is for a zero and characters of BFR_UTF8_MAX_BYTES bytes each.
static bool copy_text(const char *text, char *out, size_t room)
{
    if (count_characters(text) > (room - 1) / BFR_UTF8_MAX_BYTES)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

// Nothing, as the previous product's clients send it, is any.
static bool copy_or_any(const char *text, char *out, size_t room)
{
    return copy_text(text[0] == '\0' ? "*" : text, out, room);
}

static bool read_number(const char *text, uint32_t low, uint32_t high, uint32_t *out)
{
    size_t length = strlen(text);
    if (length == 0 || length > 9 || strspn(text, "0123456789") != length)
        return false;
    *out = (uint32_t)strtoul(text, NULL, 10);
    return *out >= low && *out <= high;
}

static bool read_status(const char *text, bool *out_retry)
{
    *out_retry = strcmp(text, "retry") == 0;
    return *out_retry || strcmp(text, "dlq") == 0;
}

// NULL: good; else what is wrong with it.
static const char *read_parameter(const char *key, const char *value, void *arg)
{
    struct bfr_admin_job *out = arg;
    if (strcmp(key, "tenant_id") == 0)
        return copy_or_any(value, out->selector.tenant, sizeof out->selector.tenant) ? NULL : "tenant_id is too long";
    if (strcmp(key, "dataset_id") == 0)
        return copy_or_any(value, out->selector.dataset, sizeof out->selector.dataset) ? NULL
                                                                                       : "dataset_id is too long";
    if (strcmp(key, "status") == 0)
        return read_status(value, &out->retry) ? NULL : "status must be dlq or retry";
    if (strcmp(key, "limit") == 0)
        return read_number(value, 1, BFR_LETTERS_AT_MOST, &out->limit) ? NULL : "limit must be a number from 1 to 1000";
    if (strcmp(key, "cursor") == 0) {
        size_t size = strlen(value);
        bool good = size > 0 && size < sizeof out->cursor && strspn(value, "0123456789abcdef") == size;
        memcpy(out->cursor, value, good ? size + 1 : 0);
        return good ? NULL : "cursor must be `next` of the page before";
    }
    return "the query has an unknown parameter; known are tenant_id, dataset_id, status, limit and cursor";
}

// libevent hands out texts that end where a zero is, and the last of several that have the same name.
static bool is_ambiguous(const char *query, const struct evkeyvalq *list)
{
    if (query != NULL && strstr(query, "%00") != NULL)
        return true;
    for (const struct evkeyval *item = list->tqh_first; item != NULL; item = item->next.tqe_next)
        for (const struct evkeyval *later = item->next.tqe_next; later != NULL; later = later->next.tqe_next)
            if (strcmp(item->key, later->key) == 0)
                return true;
    return false;
}

// Every parameter of the query goes to `read`, until one is refused. False after a reply.
static bool read_query(struct evhttp_request *request,
                       const char *(*read)(const char *key, const char *value, void *out), void *out)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request)), *error = NULL;
    struct evkeyvalq list = {NULL, NULL};
    if (query != NULL && query[0] != '\0' && evhttp_parse_query_str(query, &list) != 0)
        error = "the query cannot be read";
    if (error == NULL && is_ambiguous(query, &list))
        error = "the query has a parameter twice, or one with a zero byte";
    for (const struct evkeyval *item = list.tqh_first; item != NULL && error == NULL; item = item->next.tqe_next)
        error = read(item->key, item->value, out);
    evhttp_clear_headers(&list);
    if (error != NULL)
        bfr_admin_reply_error(request, 400, error);
    return error == NULL;
}

bool bfr_admin_read_page(struct evhttp_request *request, struct bfr_admin_job *out)
{
    memcpy(out->selector.tenant, "*", 2);
    memcpy(out->selector.dataset, "*", 2);
    out->limit = BFR_LETTERS_A_PAGE;
    return read_query(request, read_parameter, out);
}

static const char *read_filter_parameter(const char *key, const char *value, void *arg)
{
    struct bfr_admin_filter *out = arg;
    if (strcmp(key, "tenant_id") == 0)
        return copy_text(value, out->tenant, sizeof out->tenant) ? NULL : "tenant_id is too long";
    if (strcmp(key, "dataset_id") == 0)
        return copy_text(value, out->dataset, sizeof out->dataset) ? NULL : "dataset_id is too long";
    return "the query has an unknown parameter; known are tenant_id and dataset_id";
}

bool bfr_admin_read_filter(struct evhttp_request *request, struct bfr_admin_filter *out)
{
    *out = (struct bfr_admin_filter){"", ""};
    return read_query(request, read_filter_parameter, out);
}

static bool is_any(const char *wanted)
{
    return wanted[0] == '\0' || strcmp(wanted, "*") == 0;
}

bool bfr_admin_filter_fits(const struct bfr_admin_filter *filter, const char *tenant, const char *dataset)
{
    return (is_any(filter->tenant) || strcmp(filter->tenant, tenant) == 0) &&
           (is_any(filter->dataset) || strcmp(filter->dataset, dataset) == 0);
}

// --- bodies

// An object, or NULL after a reply. Without a body: an empty one.
static json_t *read_object(struct evhttp_request *request)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t size = evbuffer_get_length(input);
    const char *bytes = size == 0 ? "{}" : (const char *)evbuffer_pullup(input, -1);
    json_error_t error;
    json_t *body = bytes == NULL ? NULL : json_loadb(bytes, size == 0 ? 2 : size, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(body))
        return body;
    char text[256];
    snprintf(text, sizeof text, "the body must be a JSON object: %s", body == NULL ? error.text : "it is none");
    bfr_admin_reply_error(request, 400, bytes == NULL ? "out of memory" : text);
    json_decref(body);
    return NULL;
}

struct member {
    const char *key;
    char *text; // NULL: `flag` is wanted
    size_t room;
    bool *flag;
};

static const char *read_member(const struct member *member, const json_t *value)
{
    if (member->flag != NULL) {
        *member->flag = json_is_true(value);
        return json_is_boolean(value) ? NULL : "must be true or false";
    }
    if (!json_is_string(value))
        return "must be a text";
    return copy_text(json_string_value(value), member->text, member->room) ? NULL : "is too long";
}

static const struct member *find_member(const struct member *members, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].key, key) == 0)
            return &members[i];
    }
    return NULL;
}

// Every member of the body must be one of these, of the right type.
static bool read_members(struct evhttp_request *request, const struct member *members, size_t count)
{
    json_t *body = read_object(request), *value;
    const char *key, *error = NULL, *bad = "";
    if (body == NULL)
        return false;
    json_object_foreach(body, key, value)
    {
        const struct member *member = find_member(members, count, key);
        const char *found = member == NULL ? "is not known here" : read_member(member, value);
        bad = found != NULL ? key : bad;
        error = found != NULL ? found : error;
    }
    if (error != NULL) {
        char text[256];
        snprintf(text, sizeof text, "the body's '%.64s' %s", bad, error);
        bfr_admin_reply_error(request, 400, text);
    }
    json_decref(body);
    return error == NULL;
}

bool bfr_admin_read_selector(struct evhttp_request *request, struct bfr_admin_selector *out)
{
    *out = (struct bfr_admin_selector){.dry_run = false};
    const struct member members[] = {{"tenant_id", out->tenant, sizeof out->tenant, NULL},
                                     {"dataset_id", out->dataset, sizeof out->dataset, NULL},
                                     {"filename", out->filename, sizeof out->filename, NULL},
                                     {"id", out->id, sizeof out->id, NULL},
                                     {"dry_run", NULL, 0, &out->dry_run}};
    if (!read_members(request, members, sizeof members / sizeof members[0]))
        return false;
    if (out->id[0] != '\0') { // says it all; what else is given must fit as well
        if (out->tenant[0] == '\0')
            memcpy(out->tenant, "*", 2);
        if (out->dataset[0] == '\0')
            memcpy(out->dataset, "*", 2);
    }
    if (out->tenant[0] != '\0' && out->dataset[0] != '\0')
        return true;
    bfr_admin_reply_error(request, 400, "say which: tenant_id and dataset_id (* is any), or id");
    return false;
}

bool bfr_admin_read_dry_run(struct evhttp_request *request, bool *out)
{
    const struct member member = {"dry_run", NULL, 0, out};
    *out = false;
    return read_members(request, &member, 1);
}

bool bfr_admin_read_nothing(struct evhttp_request *request)
{
    return read_members(request, NULL, 0);
}

bool bfr_admin_read_level(struct evhttp_request *request, uint32_t *out)
{
    char level[BFR_UTF8_MAX_BYTES * 8 + 1] = "";
    const struct member member = {"level", level, sizeof level, NULL};
    if (!read_members(request, &member, 1))
        return false;
    *out = bfr_log_level_from(level);
    if (*out == 0)
        bfr_admin_reply_error(request, 400, "level must be debug, info, warn or error");
    return *out != 0;
}
