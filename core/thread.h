// SPDX-License-Identifier: Apache-2.0
// How the daemon starts a thread of its own.
#ifndef BFR_CORE_THREAD_H
#define BFR_CORE_THREAD_H

#include <pthread.h>

// It takes no signals: these are the main thread's, and a write to a closed socket raises none. `name` has at most 15 bytes.
// 0, or an errno.
int bfr_thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg);

#endif
