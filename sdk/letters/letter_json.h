// SPDX-License-Identifier: Apache-2.0
// A dead letter's fields as the API and the queue's files have them. What is made belongs to the caller; NULL: memory is
// short. [any]
#ifndef BFR_LETTER_JSON_H
#define BFR_LETTER_JSON_H

#include <bfr/queue.h>
#include <jansson.h>

// A text as a JSON value, also one that is not UTF-8: how that is shown is the caller's.
typedef json_t *bfr_letter_text_value(const char *text);

// RFC 3339 with nanoseconds, because it is read back; null for 0: never.
json_t *bfr_letter_time_value(int64_t ns);

// An object with the fields that every letter has.
json_t *bfr_letter_json(const struct bfr_letter *letter, bfr_letter_text_value *text_value);

// A field of a letter that is a text; "" when there is none.
const char *bfr_letter_field(const json_t *letter, const char *key);

#endif
