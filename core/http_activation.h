// SPDX-License-Identifier: Apache-2.0
// Sockets that a supervisor opened and hands over (sd_listen_fds(3)): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. Read once at
// the start of the process; constant afterwards.
#ifndef BFR_CORE_HTTP_ACTIVATION_H
#define BFR_CORE_HTTP_ACTIVATION_H

#include <stddef.h>

#include <bfr/status.h>

// Look into the environment of this process, take the three variables out of it, and keep the descriptors for it alone. An
// error when one of them is not a listening TCP socket or has no name that is known. [main]
BFR_MUST_CHECK uint32_t bfr_activation_take(struct bfr_err *err);

// How many sockets were handed over under `name` ("webhook", "api", "metrics").
size_t bfr_activation_count(const char *name);
// A descriptor of one's own for socket `index` of them; -1 with errno when there is none to be had.
int bfr_activation_dup(const char *name, size_t index);

// Close what was handed over, at the end of the process; descriptors of one's own are not touched. [main]
void bfr_activation_release(void);

#endif
