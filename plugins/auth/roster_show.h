// SPDX-License-Identifier: Apache-2.0
// A roster for those who look at it, in the ABI's form. Any thread.
#ifndef BFR_AUTH_ROSTER_SHOW_H
#define BFR_AUTH_ROSTER_SHOW_H

#include <bfr/auth.h>

#include "roster.h"

void bfr_roster_show(const struct roster *roster, const char *tenant, uint64_t skip,
                     bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg);

#endif
