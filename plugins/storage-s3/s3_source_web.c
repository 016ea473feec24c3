// SPDX-License-Identifier: Apache-2.0
// Keys for a web identity: a token that the platform keeps in a file is exchanged for a role's keys (AWS STS,
// AssumeRoleWithWebIdentity). The request needs no signature.
#include "s3_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "s3_error.h"
#include "s3_request.h"

#define SERVICE "the token service"

static void read_keys(struct s3_fetch *fetch, const struct bfr_http_reply *reply, uint32_t *out_found)
{
    char access_key[128], secret_key[256], token[S3_TOKEN_SIZE], expiration[64];
    int64_t expires_ns = INT64_MAX;

    bfr_s3_xml_text(reply->body, reply->body_bytes, "AccessKeyId", access_key, sizeof access_key);
    bfr_s3_xml_text(reply->body, reply->body_bytes, "SecretAccessKey", secret_key, sizeof secret_key);
    bfr_s3_xml_text(reply->body, reply->body_bytes, "SessionToken", token, sizeof token);
    bfr_s3_xml_text(reply->body, reply->body_bytes, "Expiration", expiration, sizeof expiration);
    bool ok = access_key[0] != '\0' && secret_key[0] != '\0' &&
              (expiration[0] == '\0' || bfr_s3_keys_read_time(expiration, &expires_ns)) &&
              bfr_s3_keys_set(&fetch->keys, access_key, secret_key, token, expires_ns);
    OPENSSL_cleanse(secret_key, sizeof secret_key);
    OPENSSL_cleanse(token, sizeof token);
    *out_found = ok ? S3_FOUND : bfr_s3_fetch_refused(fetch, SERVICE, reply);
}

static void on_reply(struct s3_fetch *fetch, const struct bfr_http_reply *reply)
{
    struct s3_error error;
    uint32_t found;

    if (reply->end == BFR_HTTP_REPLIED && reply->status == 200) {
        read_keys(fetch, reply, &found);
    } else if (reply->end == BFR_HTTP_REPLIED) {
        bfr_s3_error_read(reply->body, reply->body_bytes, &error);
        found = bfr_s3_fetch_fail(fetch, SERVICE " answered %u %s, %s; check role_arn and what may take that role",
                                  reply->status, error.code, error.message);
    } else {
        found = bfr_s3_fetch_refused(fetch, SERVICE, reply);
    }
    bfr_s3_fetch_end(fetch, found);
}

// The form into fetch->body. False when it does not fit.
static bool write_form(struct s3_fetch *fetch, const char *token)
{
    const struct s3_options *options = fetch->options;
    const char *const parts[] = {"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=",
                                 options->role_arn,
                                 "&RoleSessionName=",
                                 options->role_session_name,
                                 "&WebIdentityToken=",
                                 token};
    size_t used = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t room = sizeof fetch->body - used;
        size_t length = strlen(parts[i]);
        if (i % 2 == 1) { // a value
            length = bfr_s3_encode(parts[i], false, fetch->body + used, room);
            if (length == 0)
                return false;
        } else if (length < room) {
            memcpy(fetch->body + used, parts[i], length + 1);
        } else {
            return false;
        }
        used += length;
    }
    return true;
}

static uint32_t begin(struct s3_fetch *fetch)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: text/xml"};
    const struct s3_options *options = fetch->options;
    char token[S3_TOKEN_SIZE], url[256];

    if (options->web_identity_token_file[0] == '\0')
        return S3_ABSENT;
    if (options->role_arn[0] == '\0')
        return bfr_s3_fetch_fail(fetch, "web_identity_token_file is given without role_arn; give both");
    if (bfr_s3_fetch_read_file(options->web_identity_token_file, token, sizeof token) <= 0)
        return bfr_s3_fetch_fail(fetch, "cannot read the token in '%s': %s; check the file and its permissions",
                                 options->web_identity_token_file, errno == 0 ? "it is empty" : strerror(errno));
    bool fits = write_form(fetch, token);
    OPENSSL_cleanse(token, sizeof token);
    if (!fits)
        return bfr_s3_fetch_fail(fetch, "the token in '%s' is too long; check the file",
                                 options->web_identity_token_file);
    if (options->sts_endpoint[0] != '\0')
        snprintf(url, sizeof url, "%.250s", options->sts_endpoint);
    else
        snprintf(url, sizeof url, "https://sts.%s.amazonaws.com%s/", options->region,
                 strncmp(options->region, "cn-", 3) == 0 ? ".cn" : "");
    fetch->on_reply = on_reply;
    return bfr_s3_fetch_ask(fetch, "POST", url, headers, 2, true, 0);
}

const struct s3_source bfr_s3_source_web = {"web identity", begin};
