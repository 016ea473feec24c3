// SPDX-License-Identifier: Apache-2.0
// What /proc says about this process: its threads, their names and signal masks, its descriptors.
#ifndef BFR_RUNNER_PROCESS_H
#define BFR_RUNNER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_THREADS = 512 };

struct threads {
    long ids[MAX_THREADS];
    size_t count;
};

void threads_list(struct threads *out);
bool threads_contain(const struct threads *threads, long id);

// Wait until no thread is left that is not in `before`. A joined thread may be visible for a moment longer.
bool threads_gone(const struct threads *before, uint32_t timeout_ms);

// Wait until the thread has a name other than the process's; false when it keeps that.
bool thread_named(long id, uint32_t timeout_ms);

// A signal meant for the process that this thread would take, or 0. Waits until the thread sleeps: a new thread starts
// with all signals blocked, whatever its mask will be.
int thread_open_signal(long id, uint32_t timeout_ms);

size_t descriptors_count(void);

#endif
