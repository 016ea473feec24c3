// SPDX-License-Identifier: Apache-2.0
// One look-up at the control service: how a tenant, a dataset or a key is asked about, and what the answer says of it. A
// tenant whose account is not known to be active takes a second request. Keeps a presented key until it is freed, and wipes
// it then. Any thread; takes no lock.
#ifndef BFR_AUTH_LOOKUP_CALL_H
#define BFR_AUTH_LOOKUP_CALL_H

#include "control.h"
#include "control_call.h"
#include "facts.h"

struct lookup_call {
    struct control *control;
    struct fact_subject subject;
    char path[CONTROL_PATH_MAX];
    char under[BFR_ID_MAX + 1];             // the account in the path
    char authorization[CONTROL_HEADER_MAX]; // of a key: the presented one; else empty
    // Of a tenant, while its account is asked about.
    bool second;
    bool active;
    char account[BFR_ID_MAX + 1];
    bool has_token;
    uint8_t token[DIRECTORY_HASH_SIZE];
    // Who asks: what is to be done at the end, for which fact (it stays until then), since when, and for which peer.
    void (*on_end)(struct lookup_call *call, enum fact_state state);
    struct fact *fact;
    uint64_t asked_ns;
    uint64_t peer;
};

// `account` is the tenant's, NULL when it is not known; `token` is the presented key. NULL: memory is short, or the question
// cannot be put without the account.
struct lookup_call *bfr_lookup_call_new(struct control *control, const struct fact_subject *subject,
                                        const char *account, struct bfr_span token);
void bfr_lookup_call_free(struct lookup_call *call);
// Without a lock that on_end takes: it is called once, by a thread of the HTTP client or from within.
void bfr_lookup_call_begin(struct lookup_call *call);

#endif
