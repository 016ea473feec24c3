// SPDX-License-Identifier: Apache-2.0
// The main thread's wait: for a signal to stop, and for functions that other threads want run here (host->post).
#ifndef BFR_CORE_APP_MAINLOOP_H
#define BFR_CORE_APP_MAINLOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <bfr/status.h>

struct bfr_mainloop;

// Blocks the stop signals and SIGHUP in this thread and all it will start, and ignores SIGPIPE and SIGXFSZ: call
// it before the first thread exists. [main]
BFR_MUST_CHECK uint32_t bfr_mainloop_new(struct bfr_mainloop **out, struct bfr_err *err);
void bfr_mainloop_free(struct bfr_mainloop *loop); // NULL is allowed

// bfr_stage_env.post. False once the loop has been closed. [any]
bool bfr_mainloop_post(void *loop, void (*fn)(void *arg), void *arg);

// Run posted functions until a stop signal arrives or `deadline_ns` (monotonic, UINT64_MAX = none) passes. True: a signal.
bool bfr_mainloop_wait(struct bfr_mainloop *loop, uint64_t deadline_ns);

// Run posted functions until `until_ns` (monotonic), whatever signals come. [main]
void bfr_mainloop_pause(struct bfr_mainloop *loop, uint64_t until_ns);

// What SIGHUP means: fn(arg) runs on the main thread, inside bfr_mainloop_wait; one that came earlier counts. Set once. [main]
void bfr_mainloop_on_hangup(struct bfr_mainloop *loop, void (*fn)(void *arg), void *arg);

// From the first stop signal on: a second one (that is no echo of the first, a moment later), or `limit_ns` after the
// first, ends the process with exit code 1, whatever hangs, be it a stage that does not return from its start.
void bfr_mainloop_limit_stop(struct bfr_mainloop *loop, uint64_t limit_ns);

// As if a stop signal had come, unless one has: the limit counts from now.
void bfr_mainloop_stop(struct bfr_mainloop *loop);

// When the stop signal came (monotonic).
uint64_t bfr_mainloop_stopped_at(const struct bfr_mainloop *loop);

// No more posts are taken; those that wait are run. [main]
void bfr_mainloop_close(struct bfr_mainloop *loop);

#endif
