// SPDX-License-Identifier: Apache-2.0
// The largest body that is taken: what is configured, as far as memory and queues allow.
#ifndef BFR_CORE_APP_PAYLOAD_H
#define BFR_CORE_APP_PAYLOAD_H

#include "app_assembly.h"

// Logs when less is taken than somebody asked for. The queues have been created. [main]
uint64_t bfr_payload_limit(const struct bfr_settings *settings, const struct bfr_assembly *assembly);

#endif
