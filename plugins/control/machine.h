// SPDX-License-Identifier: Apache-2.0
// How the machine is: disk of the spool, memory, processors, load. As the health report has it.
#ifndef BFR_MACHINE_H
#define BFR_MACHINE_H

#include <stdint.h>

#include <jansson.h>

// The processors' ticks when they were last looked at; all zero before the first time.
struct machine {
    uint64_t total, idle, iowait;
};

// The `metrics` of a report; `directory` is on the disk that counts. What cannot be read is 0. NULL when memory is short.
json_t *bfr_machine_metrics(struct machine *machine, const char *directory, int64_t wall_ns);

#endif
