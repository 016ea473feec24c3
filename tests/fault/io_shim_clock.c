// SPDX-License-Identifier: Apache-2.0
// The time of day as the test wants it: jumps forward and back while the daemon runs. Any thread.
#include "io_shim.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT        __attribute__((visibility("default")))
#define NS_PER_SECOND INT64_C(1000000000)

EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
    struct shim_control *control = shim_control();
    int result = (int)syscall(SYS_clock_gettime, clock, out);
    if (result != 0 || control == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return result;
    int64_t ns = out->tv_sec * NS_PER_SECOND + out->tv_nsec + __atomic_load_n(&control->clock_ns, __ATOMIC_ACQUIRE);
    out->tv_sec = ns / NS_PER_SECOND;
    out->tv_nsec = ns % NS_PER_SECOND;
    return 0;
}

EXPORT time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
