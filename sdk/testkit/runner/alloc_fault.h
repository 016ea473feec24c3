// SPDX-License-Identifier: Apache-2.0
// Makes one allocation of this thread fail, and counts what is allocated and not freed. Replaces malloc and its family
// in this program only; not possible in sanitized builds, where the sanitizer owns them.
#ifndef BFR_RUNNER_ALLOC_FAULT_H
#define BFR_RUNNER_ALLOC_FAULT_H

#include <stdbool.h>

bool alloc_fault_available(void);

// From now on count this thread's blocks; the `nth` allocation (1 = the next) fails, 0 = none does.
void alloc_fault_begin(unsigned nth);

// Stop. *out_hit: the nth allocation was reached. Returns how many more blocks were allocated than freed.
long alloc_fault_end(bool *out_hit);

// Between these two, allocations of this thread are the test's own: they neither count nor fail.
void alloc_fault_pause(void);
void alloc_fault_resume(void);

#endif
