// SPDX-License-Identifier: Apache-2.0
// Reading what an auth plugin said. Pure but for the report of a breach; any thread. What cannot be understood becomes
// BFR_UNKNOWN, which a sender survives, never a denial, which it does not.
#include "plugin_verdict.h"

#include <string.h>

// What a verdict needs at least: the decision.
#define VERDICT_SIZE_MIN (offsetof(struct bfr_verdict, decision) + sizeof(uint32_t))

void bfr_verdict_say(struct bfr_verdict *out, uint32_t decision, const char *text)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->decision = decision;
    memcpy(out->text, text, strlen(text) + 1);
}

// As the ids of a request: [A-Za-z0-9._-]{0,64}, no leading dot. It ends up in names and headers.
static bool account_valid(const char *account)
{
    for (const char *at = account; *at != '\0'; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z');
        if (!plain && *at != '.' && *at != '_' && *at != '-')
            return false;
    }
    return account[0] != '.';
}

static const char *verdict_fault(const struct bfr_verdict *verdict)
{
    if (verdict->decision < BFR_ALLOW || verdict->decision > BFR_UNKNOWN)
        return "verdict with an unknown decision";
    if (verdict->decision == BFR_DENY && (verdict->deny < BFR_DENY_TOKEN || verdict->deny > BFR_DENY_DATASET_GONE))
        return "verdict that denies without a known reason";
    if (verdict->decision == BFR_ALLOW && !account_valid(verdict->account))
        return "verdict with an account that is no valid id";
    return NULL;
}

// Make a plugin's verdict one that the core can rely on. Texts without an end get one.
void bfr_verdict_sanitize(struct bfr_stage *stage, struct bfr_verdict *verdict)
{
    verdict->size = sizeof *verdict;
    verdict->account[sizeof verdict->account - 1] = '\0';
    verdict->text[sizeof verdict->text - 1] = '\0';
    const char *fault = verdict_fault(verdict);
    if (fault == NULL)
        return;
    bfr_stage_misuse(stage, fault);
    bfr_verdict_say(verdict, BFR_UNKNOWN, fault);
}

// Copy as much as the plugin's headers knew of; the rest is zero.
void bfr_verdict_read(struct bfr_stage *stage, const struct bfr_verdict *verdict, struct bfr_verdict *out)
{
    if (verdict->size < VERDICT_SIZE_MIN) {
        bfr_stage_misuse(stage, "verdict with a size that ends before its decision");
        bfr_verdict_say(out, BFR_UNKNOWN, "the verdict was cut short");
        return;
    }
    memset(out, 0, sizeof *out);
    memcpy(out, verdict, verdict->size < sizeof *out ? verdict->size : sizeof *out);
    bfr_verdict_sanitize(stage, out);
}
