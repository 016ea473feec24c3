// SPDX-License-Identifier: Apache-2.0
// Keys of the machine's role from its metadata service (EC2 IMDSv2): a token first, with it the role's name, then its keys.
// Version 1, without a token, is not used: it can be tricked into giving keys away.
#include "s3_fetch.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#define SERVICE "the machine's metadata service"
#define ROLES   "/latest/meta-data/iam/security-credentials/"

// A GET with the token.
static uint32_t ask(struct s3_fetch *fetch, const char *path, const char *more)
{
    char url[1024], header[sizeof fetch->token + 32];
    const char *headers[] = {header};

    snprintf(url, sizeof url, "%.500s%s%s", fetch->options->metadata_endpoint, path, more);
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", fetch->token);
    uint32_t found = bfr_s3_fetch_ask(fetch, "GET", url, headers, 1, false, BFR_HTTP_DIRECT);
    OPENSSL_cleanse(header, sizeof header);
    return found;
}

// One short line of printable ASCII out of a reply. False when it is something else.
static bool read_line(const struct bfr_http_reply *reply, char *out, size_t room)
{
    size_t length = 0;

    if (reply->end != BFR_HTTP_REPLIED || reply->status != 200)
        return false;
    while (length < reply->body_bytes && reply->body[length] > 0x20 && reply->body[length] < 0x7F)
        length++;
    if (length == 0 || length >= room)
        return false;
    memcpy(out, reply->body, length);
    out[length] = '\0';
    return true;
}

static void on_keys(struct s3_fetch *fetch, const struct bfr_http_reply *reply)
{
    bool ok = reply->end == BFR_HTTP_REPLIED && reply->status == 200 &&
              bfr_s3_keys_read_json(&fetch->keys, reply->body, reply->body_bytes);

    bfr_s3_fetch_end(fetch, ok ? S3_FOUND : bfr_s3_fetch_refused(fetch, SERVICE, reply));
}

static void on_role(struct s3_fetch *fetch, const struct bfr_http_reply *reply)
{
    char role[256];

    if (reply->end == BFR_HTTP_REPLIED && reply->status == 404) {
        bfr_s3_fetch_end(fetch, bfr_s3_fetch_fail(fetch, "this machine has no role; attach one, or give credentials"));
        return;
    }
    if (!read_line(reply, role, sizeof role)) {
        bfr_s3_fetch_end(fetch, bfr_s3_fetch_refused(fetch, SERVICE, reply));
        return;
    }
    fetch->on_reply = on_keys;
    bfr_s3_fetch_end(fetch, ask(fetch, ROLES, role)); // LATER ends nothing
}

static void on_token(struct s3_fetch *fetch, const struct bfr_http_reply *reply)
{
    if (!read_line(reply, fetch->token, sizeof fetch->token)) {
        bfr_s3_fetch_end(fetch, bfr_s3_fetch_refused(fetch, SERVICE, reply));
        return;
    }
    fetch->on_reply = on_role;
    bfr_s3_fetch_end(fetch, ask(fetch, ROLES, ""));
}

static uint32_t begin(struct s3_fetch *fetch)
{
    static const char *const headers[] = {"X-aws-ec2-metadata-token-ttl-seconds: 21600"};
    char url[1024];

    if (fetch->options->metadata_endpoint[0] == '\0')
        return S3_ABSENT;
    snprintf(url, sizeof url, "%.500s/latest/api/token", fetch->options->metadata_endpoint);
    fetch->on_reply = on_token;
    fetch->body[0] = '\0';
    return bfr_s3_fetch_ask(fetch, "PUT", url, headers, 1, true, BFR_HTTP_DIRECT);
}

const struct s3_source bfr_s3_source_machine = {"machine", begin};
