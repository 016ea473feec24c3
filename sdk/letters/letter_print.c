// SPDX-License-Identifier: Apache-2.0
// See letter_print.h. One thread; writes to standard output alone.
#include "letter_print.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "letter_json.h"

void bfr_letter_print_safely(const char *text)
{
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

bool bfr_letter_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL)
        return false;
    fputs(text, stdout);
    free(text);
    return true;
}

void bfr_letter_print_row(const json_t *letter, bool first)
{
    static const char *const names[] = {"tenant_id", "dataset_id", "filename"};
    if (first)
        puts("ID                REASON    RETRIES       SIZE  TENANT/DATASET/FILENAME: LAST ERROR");
    printf("%-16s  %-9s %7" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT "  ", bfr_letter_field(letter, "id"),
           bfr_letter_field(letter, "reason"), json_integer_value(json_object_get(letter, "retry_count")),
           json_integer_value(json_object_get(letter, "size")));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bfr_letter_print_safely(bfr_letter_field(letter, names[i]));
        fputs(i < 2 ? "/" : "", stdout);
    }
    fputs(bfr_letter_field(letter, "last_error")[0] != '\0' ? ": " : "", stdout);
    bfr_letter_print_safely(bfr_letter_field(letter, "last_error"));
    putchar('\n');
}

bool bfr_letter_print_fields(const json_t *letter)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)letter, key, value)
    {
        printf("%-16s ", key);
        if (json_is_string(value))
            bfr_letter_print_safely(json_string_value(value));
        else if (!bfr_letter_print_json(value))
            return false;
        putchar('\n');
    }
    return true;
}
