// SPDX-License-Identifier: Apache-2.0
// Where the bucket is: scheme, host and style of the URLs. Made from the options; remade when the store says that the
// bucket is in another region. Pure.
#ifndef BFR_S3_ENDPOINT_H
#define BFR_S3_ENDPOINT_H

#include <bfr/status.h>

#define S3_HOST_SIZE   384
#define S3_REGION_SIZE 64
#define S3_BUCKET_SIZE 256 // AWS allows 63, other stores more

struct s3_endpoint {
    bool https;
    bool path_style;         // the bucket is the first segment of the path, not the first label of the host
    bool given;              // by the option: a change of region does not move it
    char host[S3_HOST_SIZE]; // as in Host: brackets around IPv6, the port unless it is the scheme's own
};

// "https://host:port", "host:port", "[::1]:9000", or "" for AWS in that region. `ssl` counts where no scheme is written.
// `path_style`: 1, 0, or -1 for what fits.
BFR_MUST_CHECK uint32_t bfr_s3_endpoint_make(const char *endpoint, bool ssl, int path_style, const char *region,
                                             const char *bucket, struct s3_endpoint *out, struct bfr_err *err);

// Is this a name that a region can have?
bool bfr_s3_region_is_good(const char *region);

#endif
