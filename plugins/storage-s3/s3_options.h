// SPDX-License-Identifier: Apache-2.0
// The options of the sink: the table, and their values read and checked once, in create. Strings are the host's.
#ifndef BFR_S3_OPTIONS_H
#define BFR_S3_OPTIONS_H

#include <bfr/plugin.h>

#include "s3_endpoint.h"

#define S3_TAGGING_SIZE 4096

struct s3_options {
    const char *bucket_name;
    const char *region;
    const char *endpoint;
    bool ssl;
    int path_style; // 1, 0, -1: not given
    bool use_iam_role;
    const char *access_key;
    const char *secret_key;
    const char *session_token;
    const char *profile;
    const char *credentials_file;
    const char *web_identity_token_file;
    const char *role_arn;
    const char *role_session_name;
    const char *container_credentials_uri;
    const char *container_authorization;
    const char *container_authorization_file;
    const char *metadata_endpoint;
    const char *sts_endpoint;
    const char *storage_class;
    const char *sse;
    const char *kms_key_id;
    char tagging[S3_TAGGING_SIZE]; // "k=v&k2=v2", encoded
    const char *ca_file;
    const char *proxy;
    bool create_bucket;
    uint32_t workers;
    uint32_t connect_timeout_ms;
    uint32_t stall_timeout_ms;
    uint32_t request_timeout_ms;
};

enum { S3_OPTION_COUNT = 34 };
extern const struct bfr_option bfr_s3_option_table[S3_OPTION_COUNT];

BFR_MUST_CHECK uint32_t bfr_s3_options_read(const struct bfr_host *host, struct s3_options *out, struct bfr_err *err);

#endif
