// SPDX-License-Identifier: Apache-2.0
// What this instance is called at the control service. Stable over restarts.
#ifndef BFR_IDENTITY_H
#define BFR_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#define IDENTITY_SIZE 256

// `hostname` is the system's, in a container its id; `host_hostname` and `node_name` may be empty.
void bfr_identity_make(const char *hostname, bool in_container, const char *host_hostname, const char *node_name,
                       char out[IDENTITY_SIZE]);
// The same for the machine we are on.
void bfr_identity_here(const char *host_hostname, const char *node_name, char out[IDENTITY_SIZE]);

#endif
