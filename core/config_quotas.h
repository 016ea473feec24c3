// SPDX-License-Identifier: Apache-2.0
// `quotas.tenants`: a mapping whose keys are tenants and whose values have the keys of `quotas.default`.
#ifndef BFR_CORE_CONFIG_QUOTAS_H
#define BFR_CORE_CONFIG_QUOTAS_H

#include "config_state.h"

// The key under `quotas` that is no section of the core.
#define BFR_QUOTAS_TENANTS "tenants"

// Read and check all tenants of `root`; those with an error are reported. Fills config->quotas and the settings.
void bfr_quotas_list(struct bfr_config *config, const struct bfr_node *root, struct bfr_diag *diag);
void bfr_quotas_free(struct bfr_config *config);

#endif
