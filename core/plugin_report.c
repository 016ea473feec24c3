// SPDX-License-Identifier: Apache-2.0
// What a plugin reports of its work: completions, readiness, verdicts, account, keys. Checked here, on the thread that calls, then
// handed to the part of the core that uses the stage. Keeps no state and takes no lock; whether a delivery or a ticket
// is still open is known only to that part.
#include "plugin_host.h"

// Size in ABI 1.0: the least that a plugin's struct has.
#define COMPLETION_SIZE_1_0 (offsetof(struct bfr_completion, text) + sizeof(const char *))
#define RECENT_SIZE_1_0     (offsetof(struct bfr_recent, received_ns) + sizeof(int64_t))

// What is wrong with a completion; NULL when nothing is.
static const char *completion_fault(const struct bfr_completion *completion)
{
    if (completion == NULL)
        return "completion is NULL";
    if (completion->size < COMPLETION_SIZE_1_0)
        return "completion with a size shorter than ABI 1.0 has";
    if (completion->outcome < BFR_STORED || completion->outcome > BFR_FATAL)
        return "completion with an unknown outcome";
    return NULL;
}

// One at a time, after a breach was found in the array. A delivery whose end was reported in a way nobody can
// understand is treated as not stored: it is tried again rather than lost or held for ever.
static void complete_with_care(struct bfr_stage *stage, const struct bfr_completion *completion)
{
    const char *fault = completion_fault(completion);
    struct bfr_completion again = {.size = sizeof again, .outcome = BFR_RETRY};
    if (fault != NULL) {
        bfr_stage_misuse(stage, fault);
        if (completion == NULL || !BFR_HAS(completion, token))
            return;
        again.token = completion->token;
        again.text = fault;
        completion = &again;
    }
    stage->hooks.on_complete(stage->hooks.arg, &completion, 1);
}

void bfr_host_complete(const struct bfr_host *host, const struct bfr_completion *const *completions, size_t count)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (!bfr_stage_works(stage)) {
        bool early = bfr_stage_state(stage) < BFR_STAGE_STARTED;
        bfr_stage_misuse(stage, early ? "completion before start" : "completion after stop");
        return;
    }
    if (stage->hooks.on_complete == NULL || (completions == NULL && count > 0)) {
        bfr_stage_misuse(stage,
                         completions == NULL ? "completions is NULL" : "completion from a stage that gets no batches");
        return;
    }
    size_t good = 0;
    while (good < count && completion_fault(completions[good]) == NULL)
        good++;
    if (good > 0)
        stage->hooks.on_complete(stage->hooks.arg, completions, good);
    for (size_t i = good; i < count; i++)
        complete_with_care(stage, completions[i]);
}

void bfr_host_ready(const struct bfr_host *host)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (!bfr_stage_works(stage))
        bfr_stage_misuse(stage, "ready outside of start to stop");
    else if (stage->hooks.on_ready == NULL)
        bfr_stage_misuse(stage, "ready from a stage that gets no batches");
    else
        stage->hooks.on_ready(stage->hooks.arg);
}

void bfr_host_verdict(const struct bfr_host *host, uint64_t ticket, const struct bfr_verdict *verdict)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (!bfr_stage_works(stage))
        bfr_stage_misuse(stage, "verdict outside of start to stop");
    else if (stage->hooks.on_verdict == NULL)
        bfr_stage_misuse(stage, "verdict from a stage that nobody asks");
    else if (verdict == NULL)
        bfr_stage_misuse(stage, "verdict is NULL");
    else
        stage->hooks.on_verdict(stage->hooks.arg, ticket, verdict);
}

void bfr_host_account(const struct bfr_host *host, uint32_t entry, const char *tenant, uint64_t batches,
                      uint64_t body_bytes)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (!bfr_stage_works(stage))
        bfr_stage_misuse(stage, "account outside of start to stop");
    else if (stage->hooks.on_account == NULL)
        bfr_stage_misuse(stage, "account from a stage that keeps no batches");
    else if (tenant == NULL || entry < BFR_ACCOUNT_FOUND_HELD || entry > BFR_ACCOUNT_PURGED_BURIED)
        bfr_stage_misuse(stage, tenant == NULL ? "account without a tenant" : "account with an unknown entry");
    else
        stage->hooks.on_account(stage->hooks.arg, entry, tenant, batches, body_bytes);
}

bool bfr_host_remember(const struct bfr_host *host, uint32_t state, const struct bfr_recent *recent)
{
    struct bfr_stage *stage = bfr_host_stage(host);
    if (!bfr_stage_works(stage))
        bfr_stage_misuse(stage, "remember outside of start to stop");
    else if (stage->hooks.on_remember == NULL)
        bfr_stage_misuse(stage, "remember from a stage that keeps no batches");
    else if (recent == NULL || recent->size < RECENT_SIZE_1_0 || recent->tenant == NULL || recent->dataset == NULL ||
             recent->filename == NULL)
        bfr_stage_misuse(stage, "remember without a key");
    else if (state < BFR_KEY_HELD || state > BFR_KEY_FREE)
        bfr_stage_misuse(stage, "remember with an unknown state");
    else
        return stage->hooks.on_remember(stage->hooks.arg, state, recent);
    return false;
}
