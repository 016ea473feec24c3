// SPDX-License-Identifier: Apache-2.0
// Requests and bytes per second of each tenant, one limit for all loops. A tenant that is not named in the configuration
// has the default's rates and a bucket of its own, from a table of fixed size: made-up tenants cannot make it grow, and
// push out only whoever owes least.
#ifndef BFR_CORE_HTTP_QUOTA_H
#define BFR_CORE_HTTP_QUOTA_H

#include <stdint.h>

#include "config_settings.h"
#include "http_refusal.h"

struct bfr_quota;

// *out NULL: nothing is limited. False when memory is short.
bool bfr_quota_new(const struct bfr_settings *settings, struct bfr_quota **out);
struct bfr_quota *bfr_quota_retain(struct bfr_quota *quota); // one free more is due; NULL is allowed [any]
void bfr_quota_free(struct bfr_quota *quota);                // behind the last holder; NULL is allowed [any]
// What each tenant owes `former` is owed to `quota`, so that a change of limits gives nobody a fresh start. Either may be NULL.
void bfr_quota_succeed(struct bfr_quota *quota, struct bfr_quota *former, uint64_t now_ns);

#define BFR_QUOTA_UNDECLARED UINT64_MAX // a body whose length only its end tells: bfr_quota_charge follows

// One request of `bytes` by an authorised tenant: none, or a refusal and the time after which it would have been let in.
// A body is let in whole while the tenant is not in debt, and may put it there. [any]
enum bfr_refusal bfr_quota_take(struct bfr_quota *quota, const char *tenant, uint64_t bytes, uint64_t now_ns,
                                uint64_t *out_wait_ns);
// Bytes that nobody declared have come. [any]
void bfr_quota_charge(struct bfr_quota *quota, const char *tenant, uint64_t bytes, uint64_t now_ns);

#endif
