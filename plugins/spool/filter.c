// SPDX-License-Identifier: Apache-2.0
// See filter.h. Pure.
#include "filter.h"

#include <string.h>

#include <bfr/abi.h>

static bool matches(const char *pattern, const char *value)
{
    if (pattern == NULL || pattern[0] == '\0')
        return false;
    return strcmp(pattern, "*") == 0 || strcmp(pattern, value) == 0;
}

bool bfr_filter_may_match(const struct bfr_filter *filter, const char *tenant)
{
    return matches(filter->tenant, tenant);
}

bool bfr_filter_matches(const struct bfr_filter *filter, const struct bfr_batch *batch, const char *id)
{
    return matches(filter->tenant, batch->tenant) && matches(filter->dataset, batch->dataset) &&
           (filter->filename == NULL || matches(filter->filename, batch->filename)) &&
           (filter->id == NULL || matches(filter->id, id));
}

// Callers built before these members were there ask for nothing by them.
static bool has_members(const struct bfr_filter *filter)
{
    return BFR_HAS(filter, limit);
}

static bool wants_once(const struct bfr_filter *filter)
{
    return (filter->flags & BFR_FILTER_ONCE) != 0;
}

bool bfr_filter_of_letters(const struct bfr_filter *filter)
{
    if (wants_once(filter))
        return true;
    return has_members(filter) && (filter->consumer != NULL || filter->failed_from_ns != 0 ||
                                   filter->failed_to_ns != 0 || filter->reason != 0);
}

static bool is_among(const char *name, const char *const *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool bfr_filter_matches_letter(const struct bfr_filter *filter, const struct bfr_letter *letter,
                               const char *const *consumers, uint32_t count)
{
    if (wants_once(filter) && letter->redriven_ns != 0)
        return false;
    if (!has_members(filter))
        return true;
    return (filter->reason == 0 || filter->reason == letter->reason) &&
           (filter->failed_from_ns == 0 || letter->first_error_ns >= filter->failed_from_ns) &&
           (filter->failed_to_ns == 0 || letter->last_error_ns <= filter->failed_to_ns) &&
           (filter->consumer == NULL || is_among(filter->consumer, consumers, count));
}

uint64_t bfr_filter_limit(const struct bfr_filter *filter)
{
    return has_members(filter) && filter->limit > 0 ? filter->limit : UINT64_MAX;
}
