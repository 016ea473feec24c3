// SPDX-License-Identifier: Apache-2.0
// How many of the process's descriptors may become connections, so that the spool always finds one to open a segment with.
#ifndef BFR_CORE_HTTP_DESCRIPTORS_H
#define BFR_CORE_HTTP_DESCRIPTORS_H

#include <stdint.h>

// `wanted`, or as many as fit, which is logged. [main]
uint32_t bfr_descriptors_for_connections(uint32_t wanted);

#endif
