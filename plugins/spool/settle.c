// SPDX-License-Identifier: Apache-2.0
// The state machine of settle.h:
//
//     WAITING <--> LEASED --> CONFIRMED
//        ^            `-----> BURIED
//        `------redrive---------'
#include "settle.h"

void bfr_settle_init(struct settle *settle, uint32_t consumers)
{
    *settle = (struct settle){.open = consumers};
}

static bool move(uint8_t *state, uint8_t from, uint8_t to)
{
    if (*state != from)
        return false;
    *state = to;
    return true;
}

bool bfr_settle_lease(struct settle *settle, uint8_t *state)
{
    if (!move(state, CLAIM_WAITING, CLAIM_LEASED))
        return false;
    settle->leased++;
    return true;
}

bool bfr_settle_give_back(struct settle *settle, uint8_t *state)
{
    if (!move(state, CLAIM_LEASED, CLAIM_WAITING))
        return false;
    settle->leased--;
    return true;
}

bool bfr_settle_confirm(struct settle *settle, uint8_t *state)
{
    if (!move(state, CLAIM_LEASED, CLAIM_CONFIRMED))
        return false;
    settle->leased--;
    settle->open--;
    return true;
}

bool bfr_settle_bury(struct settle *settle, uint8_t *state)
{
    if (!move(state, CLAIM_LEASED, CLAIM_BURIED))
        return false;
    settle->leased--;
    settle->open--;
    settle->buried++;
    return true;
}

bool bfr_settle_redrive(struct settle *settle, uint8_t *state)
{
    if (!move(state, CLAIM_BURIED, CLAIM_WAITING))
        return false;
    settle->buried--;
    settle->open++;
    return true;
}

uint32_t bfr_settle_result(const struct settle *settle)
{
    if (settle->open > 0)
        return BFR_SETTLED_OPEN;
    return settle->buried > 0 ? BFR_SETTLED_BURIED : BFR_SETTLED_STORED;
}
