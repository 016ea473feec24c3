// SPDX-License-Identifier: Apache-2.0
// The refreshing thread: asks the change detector, runs rounds, puts their directories in force and onto disk. The only one
// that replaces the directory. Blocks on the control service; nothing waits for it.
#ifndef BFR_AUTH_REFRESH_H
#define BFR_AUTH_REFRESH_H

#include "control.h"

// NULL when memory is short. [main, create]
struct refresher *bfr_refresher_new(struct control *control);
void bfr_refresher_free(struct refresher *refresher);
// Takes what is on disk into force, then starts the thread. [main]
uint32_t bfr_refresher_start(struct refresher *refresher, struct bfr_err *err);
// The thread will end soon; then it has. [main]
void bfr_refresher_tell_stop(struct refresher *refresher);
void bfr_refresher_join(struct refresher *refresher);

// What is wrong, into *out; leaves it alone when nothing is. [any]
void bfr_refresher_health(struct refresher *refresher, struct bfr_health *out);

#endif
