// SPDX-License-Identifier: Apache-2.0
// Sealing: the request's body, name and metadata become an immutable batch.
#ifndef BFR_CORE_HTTP_SEAL_H
#define BFR_CORE_HTTP_SEAL_H

#include "batch.h"
#include "http_request.h"

// One reference to the batch, which owns the body and its memory now; NULL when memory is short, then nothing has changed.
// After bfr_body_finish. [loop]
struct bfr_batch *bfr_seal(struct bfr_http_request *request);

#endif
