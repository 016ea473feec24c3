// SPDX-License-Identifier: Apache-2.0
// See decide.h. Every request with a token costs the same: one hash, one look-up of the tenant, one comparison with the
// tenant's tokens (or as many zeros), one look-up among all tokens; only then is anything decided.
#include "decide.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "bearer.h"

uint32_t bfr_decide_allow(struct bfr_verdict *out, const char *account)
{
    out->decision = BFR_ALLOW;
    size_t size = strnlen(account, sizeof out->account - 1);
    memcpy(out->account, account, size);
    out->account[size] = '\0';
    return BFR_ALLOW;
}

uint32_t bfr_decide_deny(struct bfr_verdict *out, enum bfr_deny why, const char *text)
{
    out->decision = BFR_DENY;
    out->deny = why;
    snprintf(out->text, sizeof out->text, "%s", text);
    return BFR_DENY;
}

uint32_t bfr_decide_unknown(struct bfr_verdict *out, const char *text)
{
    out->decision = BFR_UNKNOWN;
    snprintf(out->text, sizeof out->text, "%s", text);
    return BFR_UNKNOWN;
}

// The dataset is looked at only when tenant and token are right.
static uint32_t decide_dataset(const struct roster *roster, const struct roster_tenant *tenant,
                               const struct bfr_request *request, struct bfr_verdict *out)
{
    bool tenant_only = (request->flags & BFR_REQUEST_TENANT_ONLY) != 0;
    if (!tenant_only && !bfr_roster_has_dataset(roster, tenant, request->dataset))
        return bfr_decide_deny(out, BFR_DENY_DATASET_GONE,
                               "the tenants file does not list this dataset for the tenant");
    return bfr_decide_allow(out, tenant->account);
}

static uint32_t decide_by_token(const struct roster *roster, const struct hasher *hasher, struct bfr_span token,
                                const struct bfr_request *request, struct bfr_verdict *out)
{
    uint8_t hash[ROSTER_HASH_SIZE];

    if (!bfr_hasher_hash(hasher, token, hash))
        return bfr_decide_unknown(out, "the token cannot be hashed: out of memory");
    const struct roster_tenant *tenant = bfr_roster_find(roster, request->tenant);
    bool own = bfr_roster_owns_token(roster, tenant, hash);
    bool known = bfr_roster_knows_token(roster, hash);
    OPENSSL_cleanse(hash, sizeof hash);

    if (tenant == NULL)
        return bfr_decide_deny(out, BFR_DENY_TOKEN, "the tenants file does not list this tenant");
    if (!own && known)
        return bfr_decide_deny(out, BFR_DENY_FOREIGN, "the token belongs to another tenant");
    if (!own)
        return bfr_decide_deny(out, BFR_DENY_TOKEN, "the token is not one of the tenant's");
    return decide_dataset(roster, tenant, request, out);
}

uint32_t bfr_decide(const struct roster *roster, bool require_token, const struct hasher *hasher,
                    const struct bfr_request *request, struct bfr_verdict *out)
{
    struct bfr_span token = {NULL, 0};

    if (!require_token) {
        const struct roster_tenant *tenant = bfr_roster_find(roster, request->tenant);
        if (tenant == NULL)
            return bfr_decide_deny(out, BFR_DENY_TENANT_GONE, "the tenants file does not list this tenant");
        return decide_dataset(roster, tenant, request, out);
    }
    enum bearer_fault fault = bfr_bearer_parse(request->authorization, &token);
    if (fault != BEARER_OK)
        return bfr_decide_deny(out, BFR_DENY_TOKEN, bfr_bearer_fault_text(fault));
    return decide_by_token(roster, hasher, token, request, out);
}
