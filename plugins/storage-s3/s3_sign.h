// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 in the Authorization header. Owns the signing key of the day, made again when date, region or
// secret change. Used on one thread at a time. Knows neither clock nor network.
#ifndef BFR_S3_SIGN_H
#define BFR_S3_SIGN_H

#include <bfr/status.h>

#define S3_TIME_SIZE          17 // "20130524T000000Z" NUL
#define S3_AUTHORIZATION_SIZE 2048

struct s3_signer {
    char date[9];
    char region[64];
    char service[32];
    uint8_t secret_sha256[32]; // tells secrets apart without keeping one
    uint8_t key[32];
    bool ready;
};

struct s3_signable {
    const char *method;
    const char *path;         // encoded, absolute
    const char *query;        // encoded, sorted; "" without
    const char *const *lines; // "name: value", names in lower case, any order, none twice; all of them are signed
    size_t count;
    const char *payload; // hex
    const char *time;    // S3_TIME_SIZE
    const char *region;
    const char *service;
    const char *access_key;
    const char *secret_key;
};

// The value for `authorization`. False when memory is short or something does not fit.
BFR_MUST_CHECK bool bfr_s3_sign(struct s3_signer *signer, const struct s3_signable *what,
                                char out[S3_AUTHORIZATION_SIZE]);
// Unix time as the signature wants it.
void bfr_s3_sign_time(int64_t unix_ns, char out[S3_TIME_SIZE]);
// Wipe the key.
void bfr_s3_signer_clear(struct s3_signer *signer);

#endif
