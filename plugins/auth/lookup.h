// SPDX-License-Identifier: Apache-2.0
// Questions that the directory does not settle: each waits for single look-ups at the control service, those about the same
// thing for the same one. Owns the facts that come of it. Bounded in calls, in rate, and in who waits. One lock, held for
// moments, never while the host is called.
#ifndef BFR_AUTH_LOOKUP_H
#define BFR_AUTH_LOOKUP_H

#include "control.h"
#include "facts.h"
#include "judge.h"
#include "keys.h"

struct lookups *bfr_lookups_new(void); // NULL when memory is short
void bfr_lookups_free(struct lookups *lookups);

// Decides, or returns BFR_LATER and answers the ticket when it can. `question` is without `key` when there is no token.
// [loop]
uint32_t bfr_lookups_ask(struct control *control, const struct judge_question *question, struct bfr_span token,
                         const char *peer, uint64_t ticket, struct bfr_verdict *out);
void bfr_lookups_cancel(struct control *control, uint64_t ticket);

// No question waits any more: everything that still comes is answered UNKNOWN at once. [main]
void bfr_lookups_stop(struct lookups *lookups);

// A directory is in force that knows what was asked for before. [refreshing thread]
void bfr_lookups_supersede(struct lookups *lookups, enum fact_kind kind, uint64_t before_ns);
// Visit the good tenants, or datasets, without the lock. [refreshing thread]
void bfr_lookups_good(struct lookups *lookups, enum fact_kind kind, void (*visit)(void *arg, const struct fact *fact),
                      void *arg);
// The accepted keys of tenants that the directory has, sorted. [refreshing thread]
void bfr_lookups_keys(struct lookups *lookups, const struct directory *directory, struct keys *out);
// While this count stays, so do they.
uint64_t bfr_lookups_key_changes(struct lookups *lookups);
// Accepted before the start: until the service refuses them, and the first to be asked about. [main, before the loops]
void bfr_lookups_restore(struct lookups *lookups, const struct keys *keys);
uint64_t bfr_lookups_bytes(struct lookups *lookups);

struct judge_limits bfr_control_limits(const struct control *control);

#endif
