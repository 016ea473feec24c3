// SPDX-License-Identifier: Apache-2.0
// From a complete head to "send the body" or a refusal. The order of the checks is a promise: see docs/gate.md.
#ifndef BFR_CORE_HTTP_ADMISSION_H
#define BFR_CORE_HTTP_ADMISSION_H

#include "http_request.h"

// Begin, or go on after STARVE. Any step. [loop]
enum bfr_step bfr_admission_run(struct bfr_http_request *request);
// The verdict came, with this decision: the rest of admission. GO or REPLY. [loop]
enum bfr_step bfr_admission_judge(struct bfr_http_request *request, uint32_t decision);

#endif
