// SPDX-License-Identifier: Apache-2.0
// tenants.yaml to a roster:
//
//     tenants:
//       - {account: a1, tenant: acme, datasets: [fw, web], tokens: ["sha256:<64 hex digits>"]}
//       - {tenant: beta, datasets: "*", tokens: [...]}
//
// Strict: whatever is not understood is an error with its place, and all errors are reported at once. A value that could
// be a token is never repeated in a message. Main thread; reads the file whole, keeps nothing of it.
#ifndef BFR_AUTH_TENANTS_FILE_H
#define BFR_AUTH_TENANTS_FILE_H

#include <bfr/status.h>

#include "roster.h"

// *out_open_to_all: others than owner and group may write to the file.
BFR_MUST_CHECK uint32_t bfr_tenants_file_read(const char *path, bool require_token, struct roster **out,
                                              bool *out_open_to_all, struct bfr_err *err);

#endif
