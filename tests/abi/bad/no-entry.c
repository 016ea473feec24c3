// SPDX-License-Identifier: Apache-2.0
// The entry function is missing.
#include "base.h"

BFR_EXPORT const struct bfr_plugin plugin_without_an_entry = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("no-entry"), GOOD_TABLES};
