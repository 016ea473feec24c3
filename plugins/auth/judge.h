// SPDX-License-Identifier: Apache-2.0
// The verdict in mode control: a function of what is known, and of nothing else. Says either a verdict or what must be asked
// before one can be given. In this order: unsure, tenant gone, no or a wrong token, another tenant's token, dataset gone.
#ifndef BFR_AUTH_JUDGE_H
#define BFR_AUTH_JUDGE_H

#include "bearer.h"
#include "facts.h"

struct judge_question {
    const char *tenant;
    const char *dataset;
    bool tenant_only;
    bool require_token;
    enum bearer_fault fault;
    const uint8_t *key; // SHA-256 of the token; with require_token and without a fault
    uint64_t asked_ns;  // when the sender asked
};

struct judge_limits {
    uint64_t now_ns;
    uint64_t max_stale_ns;           // how old lists may be that prove an absence; 0: they prove none
    uint64_t key_ns;                 // after so long an accepted key is asked about again
    const struct accepted *accepted; // keys accepted lately, for a question without `facts`; may be NULL
};

enum judge_need {
    JUDGE_SETTLED = 1,  // *out is the verdict
    JUDGE_ASK = 2,      // *out_need must be asked about first
    JUDGE_ASK_AGAIN = 3 // the same, at the sender's cost: a token does not match, or it was refused a moment before
};

// `directory` may be NULL (none yet). `facts` may be NULL: then only what the directory alone makes certain is settled, and
// with JUDGE_ASK *out_need is not filled. *out_renew: settled, and *out_need should be asked about all the same.
BFR_MUST_CHECK enum judge_need bfr_judge(const struct directory *directory, struct facts *facts,
                                         const struct judge_question *question, const struct judge_limits *limits,
                                         struct bfr_verdict *out, struct fact_subject *out_need, bool *out_renew);

#endif
