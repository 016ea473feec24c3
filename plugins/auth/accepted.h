// SPDX-License-Identifier: Apache-2.0
// Keys that the control service has accepted for a tenant lately: what a question about a Proxy's key is settled by without a
// lock. A cache of fixed size beside the facts, which know more: what is not found here is asked of them. Holds hashes of
// keys, never a key.
#ifndef BFR_AUTH_ACCEPTED_H
#define BFR_AUTH_ACCEPTED_H

#include <stdbool.h>
#include <stdint.h>

struct accepted;

struct accepted *bfr_accepted_new(void); // NULL when memory is short
void bfr_accepted_free(struct accepted *accepted);
uint64_t bfr_accepted_bytes(void);

// Is the key (its SHA-256) accepted for the tenant at `now_ns`? [any]
bool bfr_accepted_find(const struct accepted *accepted, const char *tenant, const uint8_t *key, uint64_t now_ns);
// It is, until then; 0: no longer. [one thread at a time: with the lock of the look-ups]
void bfr_accepted_put(struct accepted *accepted, const char *tenant, const uint8_t *key, uint64_t until_ns);

#endif
