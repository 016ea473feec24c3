// SPDX-License-Identifier: Apache-2.0
// What a dead letter says of its batch. [any]
#ifndef BFR_SPOOL_LETTER_H
#define BFR_SPOOL_LETTER_H

#include <bfr/queue.h>

#include "trouble.h"

#define LETTER_COPY_ID_SIZE 24 // enough for the ids of either queue

// A letter with texts of its own: it outlives the locks under which it was seen.
struct letter_copy {
    struct bfr_letter letter;
    char id[LETTER_COPY_ID_SIZE];
    char account[BFR_ID_MAX + 1];
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];
    char filename[BFR_FILENAME_MAX + 1];
    char first_error[TROUBLE_TEXT_MAX + 1];
    char last_error[TROUBLE_TEXT_MAX + 1];
};

// A letter with all that the batch tells, no reason, no attempts and empty errors. It borrows the texts of `batch` and `id`.
struct bfr_letter bfr_letter_of(const struct bfr_batch *batch, const char *id);
// Texts that are too long are cut. *out may not be moved.
void bfr_letter_copy(const struct bfr_letter *letter, struct letter_copy *out);

#endif
