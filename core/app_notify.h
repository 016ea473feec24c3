// SPDX-License-Identifier: Apache-2.0
// What the supervisor is told: the datagrams of sd_notify(3), which are plain enough to be written here. Without a supervisor
// that listens every call does nothing.
#ifndef BFR_CORE_APP_NOTIFY_H
#define BFR_CORE_APP_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct bfr_notify;

// Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that nobody else speaks for the daemon: call it
// while there is one thread. NULL: nobody listens. [main]
struct bfr_notify *bfr_notify_new(void);
void bfr_notify_free(struct bfr_notify *notify); // NULL is allowed, as in all of these

// How often it wants to hear that the daemon lives, in ns; 0: it does not.
uint64_t bfr_notify_watchdog_ns(const struct bfr_notify *notify);

void bfr_notify_ready(struct bfr_notify *notify);
void bfr_notify_reloading(struct bfr_notify *notify); // ready follows
void bfr_notify_stopping(struct bfr_notify *notify);
// One line for people. Sent when it is another one than the last. One thread at a time.
void bfr_notify_status(struct bfr_notify *notify, const char *status);
void bfr_notify_alive(struct bfr_notify *notify);
// A stop goes on: it will be told of again within that time.
void bfr_notify_extend(struct bfr_notify *notify, uint64_t ns);

#endif
