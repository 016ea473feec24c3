// SPDX-License-Identifier: Apache-2.0
// RLIMIT_NOFILE is shared by connections, the spool's segments, the sinks' connections and the API. Accepting must stop
// before the others fail: a client waits in the accept queue, a segment that cannot be opened is an outage.
#include "http_descriptors.h"

#include <stdbool.h>
#include <sys/resource.h>

#include <bfr/text.h>

#include "log.h"

// Of everything but connections: a sixteenth, but so many at least.
#define RESERVE_LEAST 128u

static rlim_t reserve_of(rlim_t limit)
{
    rlim_t reserve = limit / 16;
    if (reserve < RESERVE_LEAST)
        reserve = RESERVE_LEAST;
    return reserve < limit / 2 ? reserve : limit / 2;
}

uint32_t bfr_descriptors_for_connections(uint32_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return wanted;
    rlim_t room = limit.rlim_cur - reserve_of(limit.rlim_cur);
    if (room >= wanted)
        return wanted;
    bfr_say(BFR_LOG_WARN, "http", "fewer connections than webhook.max_connections, for want of descriptors", "wanted",
            bfr_num(wanted).text, "connections", bfr_num((int64_t)room).text, "descriptors",
            bfr_num((int64_t)limit.rlim_cur).text, "advice", "raise the limit of open files (LimitNOFILE=)", NULL);
    return (uint32_t)room;
}
