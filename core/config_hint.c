// SPDX-License-Identifier: Apache-2.0
// The nearest name by Damerau-Levenshtein distance (optimal string alignment). Pure, bounded by the length of names.
#include "config_hint.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_BYTES 64

static size_t least(size_t a, size_t b, size_t c)
{
    size_t smallest = a < b ? a : b;
    return smallest < c ? smallest : c;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t bfr_hint_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > NAME_MAX_BYTES || columns > NAME_MAX_BYTES)
        return SIZE_MAX;
    size_t table[3][NAME_MAX_BYTES + 1]; // the rows i - 2, i - 1 and i, in turn
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t *row = table[i % 3];
        const size_t *above = table[(i + 2) % 3], *second_above = table[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same_letter(a[i - 1], b[j - 1]));
            bool swapped = i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
            if (swapped && second_above[j - 2] + 1 < row[j])
                row[j] = second_above[j - 2] + 1;
        }
    }
    return table[rows % 3][columns];
}

void bfr_hint_offer(struct bfr_hint *hint, const char *name)
{
    // One slip in a short name, up to three in a long one; beyond that a hint would be a guess.
    size_t length = strlen(hint->word);
    size_t allowed = length < 5 ? 1 : length < 9 ? 2 : 3;
    size_t distance = bfr_hint_distance(hint->word, name);
    if (distance <= allowed && distance < strlen(name) && (hint->nearest == NULL || distance < hint->distance)) {
        hint->nearest = name;
        hint->distance = distance;
    }
}
