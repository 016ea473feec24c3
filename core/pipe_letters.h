// SPDX-License-Identifier: Apache-2.0
// Dead letters for people: list, redrive, purge. The queues do the work; the books and the duplicate memory are kept here.
#ifndef BFR_CORE_PIPE_LETTERS_H
#define BFR_CORE_PIPE_LETTERS_H

#include <bfr/queue.h>

#include "pipe_pipeline.h"

// All of these may read and write a disk for long: never on a loop. Those that return bool say false once the pipeline stops,
// or before it has started, and then nothing was done. [any]

// Dead letters in order of id, from behind `cursor` (NULL: from the first), at most `limit`. Without a queue there are none.
bool bfr_pipeline_letters(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, const char *cursor,
                          uint32_t limit, bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg);

// Make matching letters held again. *out_count: how many were, or with dry_run would be.
bool bfr_pipeline_redrive(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool dry_run,
                          uint64_t *out_count);

// The same for a cause that is over, without anybody having asked: counted apart.
bool bfr_pipeline_recover(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, uint64_t *out_count);

// Forget matching letters and, with `held`, what matches in any queue and is not being delivered right now; their keys are
// free again. *out_count as above.
bool bfr_pipeline_purge(struct bfr_pipeline *pipeline, const struct bfr_filter *filter, bool held, bool dry_run,
                        uint64_t *out_count);

#endif
