// SPDX-License-Identifier: Apache-2.0
// See letter_json.h. Pure. Field names are those of the previous product; what is new comes behind.
#include "letter_json.h"

#include <stdio.h>
#include <time.h>

#include <bfr/abi.h>
#include <bfr/text.h>

#define NS_PER_S 1000000000

json_t *bfr_letter_time_value(int64_t ns)
{
    time_t seconds = (time_t)(ns / NS_PER_S);
    struct tm parts;
    char text[64];
    if (ns <= 0 || gmtime_r(&seconds, &parts) == NULL)
        return json_null();
    size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + used, sizeof text - used, ".%09dZ", (int)(ns % NS_PER_S));
    return json_string(text);
}

static json_t *digest_value(const uint8_t digest[32])
{
    char text[65];
    bfr_hex(digest, 32, text);
    return json_string(text);
}

// A held batch has none.
static const char *reason_name(const struct bfr_letter *letter)
{
    return letter->reason == 0 ? "" : bfr_reason_name(letter->reason);
}

// Begins with the reason's code.
static json_t *failure_value(const struct bfr_letter *letter, bfr_letter_text_value *text_value)
{
    char text[1024];
    const char *reason = reason_name(letter);
    snprintf(text, sizeof text, "%s%s%s", reason, reason[0] != '\0' && letter->last_error[0] != '\0' ? ": " : "",
             letter->last_error);
    return text_value(text);
}

json_t *bfr_letter_json(const struct bfr_letter *letter, bfr_letter_text_value *text_value)
{
    const struct {
        const char *key;
        json_t *value;
    } fields[] = {
        {"id", text_value(letter->id)},
        {"tenant_id", text_value(letter->tenant)},
        {"dataset_id", text_value(letter->dataset)},
        {"filename", text_value(letter->filename)},
        {"size", json_integer((json_int_t)letter->body_bytes)},
        {"line_count", json_integer((json_int_t)letter->line_count)},
        {"original_size", json_integer((json_int_t)letter->original_bytes)},
        {"created_at", bfr_letter_time_value(letter->created_ns)},
        {"last_retry", bfr_letter_time_value(letter->last_error_ns)},
        {"retry_count", json_integer(letter->attempts)},
        {"status", json_string(letter->reason == 0 ? "retry" : "dlq")},
        {"failure_reason", failure_value(letter, text_value)},
        {"reason", json_string(reason_name(letter))},
        {"attempts", json_integer(letter->attempts)},
        {"first_error", text_value(letter->first_error)},
        {"first_error_at", bfr_letter_time_value(letter->first_error_ns)},
        {"last_error", text_value(letter->last_error)},
        {"last_error_at", bfr_letter_time_value(letter->last_error_ns)},
        {"stored_sha256", digest_value(letter->stored_sha256)},
        {"source_sha256", digest_value(letter->source_sha256)},
        {"account_id", text_value(letter->account)},
        {"redriven_at", bfr_letter_time_value(BFR_HAS(letter, redriven_ns) ? letter->redriven_ns : 0)},
    };
    json_t *root = json_object();
    bool good = root != NULL;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        good = json_object_set_new(root, fields[i].key, fields[i].value) == 0 && good;
    if (good)
        return root;
    json_decref(root);
    return NULL;
}

const char *bfr_letter_field(const json_t *letter, const char *key)
{
    const char *text = json_string_value(json_object_get(letter, key));
    return text != NULL ? text : "";
}
