// SPDX-License-Identifier: Apache-2.0
// From a parsed YAML document to a roster; the half of tenants_file.h that knows the keys.
#ifndef BFR_AUTH_TENANTS_NODE_H
#define BFR_AUTH_TENANTS_NODE_H

#include <yaml.h>

#include "findings.h"
#include "roster.h"

// False only when memory is short; what is wrong with the document is in *findings.
BFR_MUST_CHECK bool bfr_tenants_node_read(yaml_document_t *document, bool require_token, struct roster *roster,
                                          struct findings *findings);

#endif
