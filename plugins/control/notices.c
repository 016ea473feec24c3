// SPDX-License-Identifier: Apache-2.0
// See notices.h. The list is short, so it is searched from end to end.
#include "notices.h"

#include <string.h>

static bool same(const struct notice *one, const struct notice *other)
{
    return strcmp(one->type, other->type) == 0 && strcmp(one->message, other->message) == 0 &&
           strcmp(one->severity, other->severity) == 0 && strcmp(one->account, other->account) == 0 &&
           strcmp(one->tenant, other->tenant) == 0 && strcmp(one->dataset, other->dataset) == 0 &&
           strcmp(one->subject, other->subject) == 0;
}

// A free place, else that of the one that was sent longest ago and has nothing new; NULL when all wait.
static struct notice *find_place(struct notices *notices)
{
    struct notice *oldest = NULL;
    if (notices->count < NOTICES_MAX)
        return &notices->list[notices->count++];
    for (size_t i = 0; i < notices->count; i++) {
        struct notice *notice = &notices->list[i];
        if (notice->count == 0 && (oldest == NULL || notice->sent_ns < oldest->sent_ns))
            oldest = notice;
    }
    return oldest;
}

bool bfr_notices_add(struct notices *notices, const struct notice *notice)
{
    for (size_t i = 0; i < notices->count; i++) {
        struct notice *known = &notices->list[i];
        if (same(known, notice)) {
            known->count += notice->count;
            memcpy(known->sample, notice->sample, sizeof known->sample);
            return true;
        }
    }
    struct notice *place = find_place(notices);
    if (place == NULL) {
        notices->dropped += notice->count;
        return false;
    }
    *place = *notice;
    place->sent_ns = 0;
    return true;
}

struct notice *bfr_notices_next(struct notices *notices, uint64_t now_ns)
{
    for (size_t i = 0; i < notices->count; i++) {
        struct notice *notice = &notices->list[i];
        if (notice->count > 0 && (notice->sent_ns == 0 || now_ns >= notice->sent_ns + notices->pause_ns))
            return notice;
    }
    return NULL;
}

void bfr_notices_sent(struct notice *notice, uint64_t count, uint64_t now_ns)
{
    notice->count -= count < notice->count ? count : notice->count;
    notice->sent_ns = now_ns;
}
