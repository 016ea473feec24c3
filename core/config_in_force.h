// SPDX-License-Identifier: Apache-2.0
// The configuration in force and what came of the last attempt to replace it, for whoever wants to look: the API, health,
// metrics, plugins that report settings. Replaced whole; nobody sees half of one.
#ifndef BFR_CORE_CONFIG_IN_FORCE_H
#define BFR_CORE_CONFIG_IN_FORCE_H

#include "config_load.h"
#include "texts.h"

struct bfr_in_force;

// What came of a reload.
struct bfr_reload_report {
    uint64_t generation;            // in force: 1 from the start, one more for each reload that succeeded
    int64_t since_ns;               // wall clock, when that one was loaded
    uint64_t reloads;               // attempts so far
    int64_t at_ns;                  // wall clock, of the last attempt; 0: none yet
    bool ok;                        // it succeeded, or none was made
    struct bfr_texts errors;        // why not; "file:line:col: text" where there is a place
    struct bfr_texts needs_restart; // keys that the file changes, and that only a restart can
};

// `config`, loaded at `at_ns`, is owned from now on. NULL when memory is short.
struct bfr_in_force *bfr_in_force_new(struct bfr_config *config, int64_t at_ns);
void bfr_in_force_free(struct bfr_in_force *in_force); // the configuration too; NULL is allowed

// What is returned stays as it is until leave; short, because a reload waits for it. Not to be nested. [any]
const struct bfr_config *bfr_in_force_enter(struct bfr_in_force *in_force);
void bfr_in_force_leave(struct bfr_in_force *in_force);
// Inside the two above.
const struct bfr_reload_report *bfr_in_force_report(const struct bfr_in_force *in_force);

// The largest body that is taken, which stages may hold below what is configured. [any]
uint64_t bfr_in_force_payload(const struct bfr_in_force *in_force);
void bfr_in_force_set_payload(struct bfr_in_force *in_force, uint64_t bytes);

// A reload has succeeded: `fresh`, merged with the one in force, takes its place, whose secrets are wiped. `needs_restart`
// is taken over. [main]
void bfr_in_force_replace(struct bfr_in_force *in_force, struct bfr_config *fresh, int64_t at_ns,
                          struct bfr_texts *needs_restart);
// A reload has failed; `errors` is taken over. [main]
void bfr_in_force_keep(struct bfr_in_force *in_force, int64_t at_ns, struct bfr_texts *errors);

#endif
