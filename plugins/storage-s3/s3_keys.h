// SPDX-License-Identifier: Apache-2.0
// A set of keys, and the JSON document that metadata services give one in. Pure.
#ifndef BFR_S3_KEYS_H
#define BFR_S3_KEYS_H

#include <bfr/text.h>

#define S3_TOKEN_SIZE 8192

struct s3_keys {
    char access_key[128]; // "" while there are none
    char secret_key[256];
    char session_token[S3_TOKEN_SIZE]; // "" without
    int64_t expires_ns;                // Unix time; INT64_MAX: never
};

// NULL members count as empty. False when one is too long or holds what a header cannot.
BFR_MUST_CHECK bool bfr_s3_keys_set(struct s3_keys *keys, const char *access_key, const char *secret_key,
                                    const char *session_token, int64_t expires_ns);
// {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}. False when that is not what the text is.
BFR_MUST_CHECK bool bfr_s3_keys_read_json(struct s3_keys *keys, const uint8_t *text, size_t size);
// RFC 3339 in UTC. False when it is not.
BFR_MUST_CHECK bool bfr_s3_keys_read_time(const char *text, int64_t *out_ns);
void bfr_s3_keys_clear(struct s3_keys *keys);

#endif
