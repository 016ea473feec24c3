// SPDX-License-Identifier: Apache-2.0
// What all requests of one stage share: the client, where the store is, the signer, what the store has taught us (its
// region, its clock). Touched on the client's thread only, from start to stop.
#ifndef BFR_S3_SESSION_H
#define BFR_S3_SESSION_H

#include <bfr/http.h>

#include "s3_credentials.h"
#include "s3_endpoint.h"
#include "s3_options.h"
#include "s3_sign.h"

struct s3_session {
    const struct bfr_host *host;
    const struct s3_options *options;
    struct bfr_http *http;
    struct s3_credentials *credentials;
    struct s3_signer signer;
    struct s3_endpoint endpoint;
    char region[S3_REGION_SIZE];
    int64_t skew_ns; // the store's clock minus ours
};

#endif
