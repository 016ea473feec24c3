// SPDX-License-Identifier: Apache-2.0
// Asking the auth stage, now or later. Owns the tickets: a late verdict finds its asker, a cancelled or repeated one
// finds nobody. Without an auth stage every request is allowed with an empty account.
#ifndef BFR_CORE_PLUGIN_AUTH_H
#define BFR_CORE_PLUGIN_AUTH_H

#include "plugin_stage.h"

struct bfr_auth;

// `stage` may be NULL. Hooks the stage. NULL when memory is short.
struct bfr_auth *bfr_auth_new(struct bfr_stage *stage);
// The stage must be stopped or never started, and no question open. NULL is allowed.
void bfr_auth_free(struct bfr_auth *auth);

// One question; embed it where the answer is needed.
struct bfr_question {
    // Called once for BFR_LATER, on the thread on which the plugin answers. [any]
    void (*on_verdict)(struct bfr_question *question, const struct bfr_verdict *verdict);
    uint64_t ticket;           // internal
    struct bfr_question *next; // internal
    struct bfr_verdict *early; // internal
};

// Returns the decision with *out filled, or BFR_LATER: then on_verdict follows unless cancelled; it may run on another
// thread before this returns, never within it. [loop]
uint32_t bfr_auth_ask(struct bfr_auth *auth, const struct bfr_request *request, struct bfr_question *question,
                      struct bfr_verdict *out);

// After it returns, on_verdict neither runs nor will run: waits for one that is running, so the caller holds no lock
// that on_verdict takes. False: it ran already (or was never LATER). [loop]
bool bfr_auth_cancel(struct bfr_auth *auth, struct bfr_question *question);

// What the stage knows; false: there is no directory (no stage, mode open, not running). [any]
bool bfr_auth_directory(const struct bfr_auth *auth, struct bfr_directory *out);
// As the slot `tenants`; false likewise, and nothing is visited. [any]
bool bfr_auth_tenants(const struct bfr_auth *auth, const char *tenant, uint64_t skip,
                      bool (*visit)(void *arg, const struct bfr_known_tenant *tenant), void *arg);

#endif
