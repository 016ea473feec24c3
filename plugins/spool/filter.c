// SPDX-License-Identifier: Apache-2.0
// See filter.h. Pure.
#include "filter.h"

#include <string.h>

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
