// SPDX-License-Identifier: Apache-2.0
// One delivery on its way into the bucket: put, and when something stands there already, look at it and compare. Everything
// runs on the client's thread. Nothing that stands in the bucket is ever replaced.
#ifndef BFR_S3_UPLOAD_H
#define BFR_S3_UPLOAD_H

#include <openssl/evp.h>

#include "s3_call.h"

struct s3_store;

// What is being done. Zero is never valid.
enum s3_step {
    S3_STEP_LOOK = 1, // HEAD in front of a put that may be a repetition, where the store does not keep conditions
    S3_STEP_PUT = 2,
    S3_STEP_COMPARE = 3, // HEAD of what stands there
    S3_STEP_READ = 4     // GET of what stands there, to hash it
};

struct s3_upload {
    struct s3_upload *next; // in the list that it is in
    struct s3_store *store;
    const struct bfr_delivery *delivery;
    uint32_t step;
    bool plain;       // the store did not take this put with a condition
    bool conditional; // it was sent with one, If-None-Match
    EVP_MD_CTX *hash; // while reading
    uint64_t read_bytes;
    struct s3_call call;
};

void bfr_s3_upload_begin(struct s3_upload *upload);

#endif
