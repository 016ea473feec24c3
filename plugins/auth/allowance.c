// SPDX-License-Identifier: Apache-2.0
// See allowance.h.
#include "allowance.h"

#define NS_PER_S 1e9

void bfr_allowance_refill(struct allowance *allowance, struct rate rate, uint64_t now_ns)
{
    double more = allowance->at_ns == 0 ? rate.burst : (double)(now_ns - allowance->at_ns) / NS_PER_S * rate.per_s;

    allowance->left = allowance->left + more > rate.burst ? rate.burst : allowance->left + more;
    allowance->at_ns = now_ns;
}

bool bfr_allowance_spend(struct allowance *allowance, struct rate rate, uint64_t now_ns)
{
    bfr_allowance_refill(allowance, rate, now_ns);
    if (allowance->left < 1.0)
        return false;
    allowance->left -= 1.0;
    return true;
}
