// SPDX-License-Identifier: Apache-2.0
// One round of refreshing: a new directory out of the old one and what the control service answers. Parts that answered
// replace theirs, parts that did not keep their old entries. Runs on the refreshing thread and blocks on the service.
#ifndef BFR_AUTH_ROUND_H
#define BFR_AUTH_ROUND_H

#include "control_json.h"
#include "fetch.h"

struct round {
    struct fetcher *fetcher;
    struct control *control;
    const struct directory *old; // may be NULL
    struct directory *new;
    uint64_t asked_ns;
    bool datasets_changed; // else only tenants that are new have theirs asked for
    bool no_memory;
    uint32_t failures; // parts that did not answer
    char trouble[640]; // the first of them: place and cause
};

// Accounts and tenants; datasets are carried over from `old`. False: there is nothing new. On true round->new is complete
// and whole in itself.
BFR_MUST_CHECK bool bfr_round_tenants(struct round *round);
// round->old is now the directory of the first half; round->new becomes one with the datasets asked for. False likewise.
BFR_MUST_CHECK bool bfr_round_datasets(struct round *round);
// A part failed; the first one is kept for the log.
void bfr_round_fail(struct round *round, const char *part, const char *why);
// Read the answer about a list, or about one thing that `gone` may be the answer to. False: that part failed, and is noted.
BFR_MUST_CHECK bool bfr_round_read_list(struct round *round, const struct fetch *fetch,
                                        const struct control_reader *reader, bool *out_whole);
BFR_MUST_CHECK bool bfr_round_read_one(struct round *round, const struct fetch *fetch,
                                       const struct control_reader *reader);
// A tenant as the old directory has it.
struct tenant_record bfr_round_old_tenant(const struct round *round, uint32_t number);

#endif
