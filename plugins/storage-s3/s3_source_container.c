// SPDX-License-Identifier: Apache-2.0
// Keys from the container platform's endpoint: ECS gives a path on a fixed address, EKS and others a whole URL. A URL
// without TLS is taken only for this machine and the platforms' own addresses: elsewhere the keys would travel in the clear.
#include "s3_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#define ECS_ADDRESS "http://169.254.170.2"

static const char *const clear_hosts[] = {"127.0.0.1",     "localhost",      "[::1]",
                                          "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};

static bool may_be_clear(const char *url)
{
    const char *host = url + strlen("http://");

    for (size_t i = 0; i < sizeof clear_hosts / sizeof clear_hosts[0]; i++) {
        size_t length = strlen(clear_hosts[i]);
        if (strncmp(host, clear_hosts[i], length) == 0 && strchr(":/", host[length]) != NULL)
            return true;
    }
    return false;
}

static void on_reply(struct s3_fetch *fetch, const struct bfr_http_reply *reply)
{
    bool ok = reply->end == BFR_HTTP_REPLIED && reply->status == 200 &&
              bfr_s3_keys_read_json(&fetch->keys, reply->body, reply->body_bytes);

    bfr_s3_fetch_end(fetch, ok ? S3_FOUND : bfr_s3_fetch_refused(fetch, "the container's credentials endpoint", reply));
}

// "Authorization: ..." into out; empty without. S3_FOUND when that went well.
static uint32_t read_authorization(struct s3_fetch *fetch, char *out, size_t room)
{
    static const char name[] = "Authorization: ";
    const struct s3_options *options = fetch->options;
    const char *file = options->container_authorization_file;

    out[0] = '\0';
    if (file[0] == '\0') {
        if (options->container_authorization[0] != '\0')
            snprintf(out, room, "%s%s", name, options->container_authorization);
        return S3_FOUND;
    }
    memcpy(out, name, sizeof name);
    if (bfr_s3_fetch_read_file(file, out + sizeof name - 1, room - sizeof name) <= 0)
        return bfr_s3_fetch_fail(fetch, "cannot read the authorization in '%s': %s; check the file and its permissions",
                                 file, errno == 0 ? "it is empty" : strerror(errno));
    if (strpbrk(out, "\r\n") != NULL)
        return bfr_s3_fetch_fail(fetch, "the authorization in '%s' has more than one line; check the file", file);
    return S3_FOUND;
}

static uint32_t begin(struct s3_fetch *fetch)
{
    const char *uri = fetch->options->container_credentials_uri;
    char url[1024], authorization[S3_TOKEN_SIZE];
    const char *headers[] = {"Accept: application/json", authorization};

    if (uri[0] == '\0')
        return S3_ABSENT;
    snprintf(url, sizeof url, "%s%.900s", uri[0] == '/' ? ECS_ADDRESS : "", uri);
    if (strncmp(url, "https://", 8) != 0 && (strncmp(url, "http://", 7) != 0 || !may_be_clear(url)))
        return bfr_s3_fetch_fail(fetch,
                                 "container_credentials_uri '%.200s' is neither https nor on this machine; keys are "
                                 "not fetched in the clear",
                                 uri);
    uint32_t found = read_authorization(fetch, authorization, sizeof authorization);
    if (found == S3_FOUND) {
        fetch->on_reply = on_reply;
        found = bfr_s3_fetch_ask(fetch, "GET", url, headers, authorization[0] != '\0' ? 2 : 1, false, BFR_HTTP_DIRECT);
    }
    OPENSSL_cleanse(authorization, sizeof authorization);
    return found;
}

const struct s3_source bfr_s3_source_container = {"container", begin};
