// SPDX-License-Identifier: Apache-2.0
// The keys to sign with: fixed ones from the options, or temporary ones that are fetched, refreshed early and kept until
// newer ones work. Touched on the client's thread only, but for `trouble`, which has a lock.
#ifndef BFR_S3_CREDENTIALS_H
#define BFR_S3_CREDENTIALS_H

#include <bfr/http.h>

#include "s3_options.h"

#define S3_TOKEN_SIZE 8192

struct s3_keys {
    char access_key[128];
    char secret_key[256];
    char session_token[S3_TOKEN_SIZE]; // "" without
    int64_t expires_ns;                // Unix time; INT64_MAX: never
};

struct s3_credentials;

// NULL with err->text.
struct s3_credentials *bfr_s3_credentials_new(const struct bfr_host *host, const struct s3_options *options,
                                              struct bfr_err *err);
// Fetches go through this client. [client's thread or before start]
void bfr_s3_credentials_use(struct s3_credentials *credentials, struct bfr_http *http);
// Wipes what it holds.
void bfr_s3_credentials_free(struct s3_credentials *credentials);

// One that waits for keys. `on_keys` is called once, on the client's thread, when there are some or the fetch has failed.
struct s3_waiter {
    struct s3_waiter *next;
    void (*on_keys)(struct s3_waiter *waiter);
};

// The keys to use now, valid until the next call of anything here; begins a refresh when they are old. NULL: there are none
// that are good; with a fetch under way `waiter` (NULL allowed) is called after it, and *out_waiting says so.
const struct s3_keys *bfr_s3_credentials_get(struct s3_credentials *credentials, struct s3_waiter *waiter,
                                             bool *out_waiting);
// The store refuses the keys with this id: get others if others can be had. True: `get` will bring or wait for new ones.
bool bfr_s3_credentials_refuse(struct s3_credentials *credentials, const char *access_key);

// Why there are none, or none newer; "" when all is well. [any]
void bfr_s3_credentials_trouble(struct s3_credentials *credentials, char *out, size_t room);

#endif
