/* SPDX-License-Identifier: Apache-2.0 */
/* All a plugin needs: include this, export bfr_plugin_entry_v1, link libbfr-sdk for the helpers if you want them. */
#ifndef BFR_PLUGIN_H
#define BFR_PLUGIN_H

#include "abi.h"
#include "auth.h"
#include "batch.h"
#include "host.h"
#include "life.h"
#include "option.h"
#include "queue.h"
#include "service.h"
#include "sink.h"
#include "status.h"
#include "tool.h"

#endif
