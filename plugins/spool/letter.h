// SPDX-License-Identifier: Apache-2.0
// What a dead letter says of its batch. [any]
#ifndef BFR_SPOOL_LETTER_H
#define BFR_SPOOL_LETTER_H

#include <bfr/queue.h>

// A letter with all that the batch tells, no reason, no attempts and empty errors. It borrows the texts of `batch` and `id`.
struct bfr_letter bfr_letter_of(const struct bfr_batch *batch, const char *id);

#endif
