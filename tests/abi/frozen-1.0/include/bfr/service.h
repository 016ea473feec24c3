/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind SERVICE: started and stopped with the daemon, off the data's way. It reads snapshots of state and counters
 * (ext/status.h) and talks to someone. Its failures never touch ingest. A service has no calls beyond its life cycle
 * (life.h); the table exists so that calls can be added.
 */
#ifndef BFR_SERVICE_H
#define BFR_SERVICE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bfr_service_vtable {
    uint32_t size; /* sizeof(struct bfr_service_vtable) */
};

#ifdef __cplusplus
}
#endif
#endif
