// SPDX-License-Identifier: Apache-2.0
// A plugin's verdict made into one that the core can rely on: every member there, every text with an end, every value
// known. Used by plugin_auth.c alone.
#ifndef BFR_CORE_PLUGIN_VERDICT_H
#define BFR_CORE_PLUGIN_VERDICT_H

#include "plugin_stage.h"

// A verdict of our own; `text` is short and constant.
void bfr_verdict_say(struct bfr_verdict *out, uint32_t decision, const char *text);

// Copy as much as the plugin's headers knew of, by its size; then sanitize.
void bfr_verdict_read(struct bfr_stage *stage, const struct bfr_verdict *verdict, struct bfr_verdict *out);

// Check a full-sized verdict in place. A breach is reported as the plugin's bug and leaves BFR_UNKNOWN.
void bfr_verdict_sanitize(struct bfr_stage *stage, struct bfr_verdict *verdict);

#endif
