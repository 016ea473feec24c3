// SPDX-License-Identifier: Apache-2.0
// The host's side of a batch: one allocation for the struct, its strings and its span array, a reference count, and a
// call that frees the body when the last holder lets go. See sdk/include/bfr/batch.h for what plugins see.
#ifndef BFR_CORE_BATCH_H
#define BFR_CORE_BATCH_H

#include <bfr/batch.h>

// Copies strings and span array of `source`, borrows the spans' memory until free_body(arg) runs, from the last
// release, on whatever thread that is. free_body may be NULL. Returns one reference, or NULL when memory is short (then
// free_body has not been called and will not be). [any]
struct bfr_batch *bfr_batch_new(const struct bfr_batch *source, void (*free_body)(void *arg), void *arg);

// Both accept the const view that plugins hold. [any]
void bfr_batch_retain(const struct bfr_batch *view);
void bfr_batch_release(const struct bfr_batch *view);

#endif
