// SPDX-License-Identifier: Apache-2.0
// See s3_credentials.h.
#include "s3_credentials.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <bfr/text.h>

struct s3_credentials {
    const struct bfr_host *host;
    const struct s3_options *options;
    struct bfr_http *http;
    struct s3_keys keys;   // access_key "" while there are none
    pthread_mutex_t mutex; // guards trouble
    char trouble[256];
};

static bool copy_key(char *out, size_t room, const char *text)
{
    return (size_t)snprintf(out, room, "%s", text) < room;
}

struct s3_credentials *bfr_s3_credentials_new(const struct bfr_host *host, const struct s3_options *options,
                                              struct bfr_err *err)
{
    struct s3_credentials *credentials = calloc(1, sizeof *credentials);

    if (credentials == NULL) {
        (void)bfr_err_set(err, BFR_ENOMEM, "out of memory");
        return NULL;
    }
    credentials->host = host;
    credentials->options = options;
    pthread_mutex_init(&credentials->mutex, NULL);
    struct s3_keys *keys = &credentials->keys;
    keys->expires_ns = INT64_MAX;
    if (!copy_key(keys->access_key, sizeof keys->access_key, options->access_key) ||
        !copy_key(keys->secret_key, sizeof keys->secret_key, options->secret_key) ||
        !copy_key(keys->session_token, sizeof keys->session_token, options->session_token)) {
        bfr_s3_credentials_free(credentials);
        (void)bfr_err_set(err, BFR_EINVAL,
                          "access_key, secret_key or session_token is too long; check what was pasted");
        return NULL;
    }
    return credentials;
}

void bfr_s3_credentials_use(struct s3_credentials *credentials, struct bfr_http *http)
{
    credentials->http = http;
}

void bfr_s3_credentials_free(struct s3_credentials *credentials)
{
    if (credentials == NULL)
        return;
    pthread_mutex_destroy(&credentials->mutex);
    OPENSSL_cleanse(credentials, sizeof *credentials);
    free(credentials);
}

const struct s3_keys *bfr_s3_credentials_get(struct s3_credentials *credentials, struct s3_waiter *waiter,
                                             bool *out_waiting)
{
    (void)waiter;
    *out_waiting = false;
    return credentials->keys.access_key[0] != '\0' ? &credentials->keys : NULL;
}

bool bfr_s3_credentials_refuse(struct s3_credentials *credentials, const char *access_key)
{
    (void)credentials;
    (void)access_key;
    return false;
}

void bfr_s3_credentials_trouble(struct s3_credentials *credentials, char *out, size_t room)
{
    pthread_mutex_lock(&credentials->mutex);
    snprintf(out, room, "%s", credentials->trouble);
    pthread_mutex_unlock(&credentials->mutex);
}
