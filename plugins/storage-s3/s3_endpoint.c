// SPDX-License-Identifier: Apache-2.0
// See s3_endpoint.h.
#include "s3_endpoint.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <bfr/text.h>

bool bfr_s3_region_is_good(const char *region)
{
    size_t length = strlen(region);

    return length > 0 && length < S3_REGION_SIZE &&
           strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == length &&
           region[0] != '-';
}

// A label of a host name under TLS: "a.b" would not be covered by the store's wildcard certificate.
static bool fits_in_host(const char *bucket, bool https)
{
    size_t length = strlen(bucket);
    size_t good =
        strspn(bucket, https ? "abcdefghijklmnopqrstuvwxyz0123456789-" : "abcdefghijklmnopqrstuvwxyz0123456789-.");

    return length >= 3 && length <= 63 && good == length && bucket[0] != '-' && bucket[length - 1] != '-';
}

static uint32_t refuse(struct bfr_err *err, const char *endpoint, const char *what)
{
    return bfr_err_set(err, BFR_EINVAL, "endpoint '%s' %s; write it as host, host:port or http(s)://host:port",
                       endpoint, what);
}

// The length of "host" or "[v6]" at the start of text; 0 when it is none.
static size_t host_length(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

    if (text[0] != '[')
        return strspn(text, letters);
    size_t inside = strspn(text + 1, "0123456789abcdefABCDEF:.");
    return inside > 0 && text[1 + inside] == ']' ? inside + 2 : 0;
}

static bool read_port(const char *text, unsigned *out)
{
    *out = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        *out = 10 * *out + (unsigned)(*text - '0');
        if (*out > 65535)
            return false;
    }
    return *out > 0 && (text[0] == '\0' || strcmp(text, "/") == 0);
}

static uint32_t read_endpoint(const char *endpoint, struct s3_endpoint *out, struct bfr_err *err)
{
    const char *at = endpoint;
    unsigned port = out->https ? 443 : 80;

    if (strncasecmp(at, "https://", 8) == 0 || strncasecmp(at, "http://", 7) == 0) {
        out->https = strncasecmp(at, "https", 5) == 0;
        port = out->https ? 443 : 80;
        at += out->https ? 8 : 7;
    } else if (strstr(at, "://") != NULL) {
        return refuse(err, endpoint, "has a scheme that is neither http nor https");
    }
    if (strchr(at, '@') != NULL)
        return refuse(err, "...", "holds a user name; keys go into access_key and secret_key");
    size_t length = host_length(at);
    if (length == 0 || length > S3_HOST_SIZE - S3_BUCKET_SIZE - 8)
        return refuse(err, endpoint, "has no host name");
    const char *rest = at + length;
    if (rest[0] == ':') {
        if (!read_port(rest + 1, &port))
            return refuse(err, endpoint, "has no port from 1 to 65535 behind its colon");
    } else if (rest[0] != '\0' && strcmp(rest, "/") != 0) {
        return refuse(err, endpoint, "holds more than scheme, host and port");
    }
    if (port == (out->https ? 443u : 80u))
        snprintf(out->host, sizeof out->host, "%.*s", (int)length, at);
    else
        snprintf(out->host, sizeof out->host, "%.*s:%u", (int)length, at, port);
    return BFR_OK;
}

static void name_aws_host(const char *region, struct s3_endpoint *out)
{
    const char *domain = strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";

    out->https = true;
    snprintf(out->host, sizeof out->host, "s3.%s.%s", region, domain);
}

uint32_t bfr_s3_endpoint_make(const char *endpoint, bool ssl, int path_style, const char *region, const char *bucket,
                              struct s3_endpoint *out, struct bfr_err *err)
{
    char host[S3_HOST_SIZE];

    *out = (struct s3_endpoint){.https = ssl, .given = endpoint[0] != '\0'};
    if (out->given) {
        uint32_t status = read_endpoint(endpoint, out, err);
        if (status != BFR_OK)
            return status;
    } else {
        name_aws_host(region, out);
    }
    bool fits = fits_in_host(bucket, out->https) && out->host[0] != '[';
    if (path_style == 0 && !fits)
        return bfr_err_set(err, BFR_EINVAL, "bucket '%s' cannot be part of the host name '%s'; set path_style to true",
                           bucket, out->host);
    out->path_style = path_style == 1 || (path_style < 0 && (out->given || !fits));
    if (!out->path_style) {
        memcpy(host, out->host, sizeof host);
        int length = snprintf(out->host, sizeof out->host, "%s.%s", bucket, host);
        if (length < 0 || (size_t)length >= sizeof out->host)
            return refuse(err, endpoint, "is too long");
    }
    return BFR_OK;
}
