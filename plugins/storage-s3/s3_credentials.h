// SPDX-License-Identifier: Apache-2.0
// The keys to sign with: fixed ones from the options, or temporary ones that are fetched, refreshed early and kept until
// newer ones are there. Touched on the client's thread only, but for the trouble, which has a lock.
//
// There is no timer: whoever asks for keys when they are old begins the refresh. After a silence the first request waits.
#ifndef BFR_S3_CREDENTIALS_H
#define BFR_S3_CREDENTIALS_H

#include <bfr/http.h>

#include "s3_keys.h"
#include "s3_options.h"

struct s3_credentials;

// NULL with err->text.
struct s3_credentials *bfr_s3_credentials_new(const struct bfr_host *host, const struct s3_options *options,
                                              struct bfr_err *err);
// Searches go through this client. [main, create]
void bfr_s3_credentials_use(struct s3_credentials *credentials, struct bfr_http *http);
// Wipes what it holds.
void bfr_s3_credentials_free(struct s3_credentials *credentials);

// One that waits for keys. `on_keys` is called once, on the client's thread, when a search has ended, well or not.
struct s3_waiter {
    struct s3_waiter *next;
    void (*on_keys)(struct s3_waiter *waiter);
};

// The keys to use now, valid until the next call of anything here; begins a refresh when they are old. NULL: there are none
// that are good. Then, with a search under way and a `waiter`, *out_waiting is true and the waiter is called after it.
const struct s3_keys *bfr_s3_credentials_get(struct s3_credentials *credentials, struct s3_waiter *waiter,
                                             bool *out_waiting);
// The store refuses the keys with this id. True: `get` brings, or waits for, others.
bool bfr_s3_credentials_refuse(struct s3_credentials *credentials, const char *access_key);
// The store does not allow something to who has the keys with this id, perhaps because they are gone. As `refuse`, but less
// and less often while it is the same keys that come back, and they are used again when no others can be had.
bool bfr_s3_credentials_doubt(struct s3_credentials *credentials, const char *access_key);

// Why there are none, or none newer; "" when all is well. [any]
void bfr_s3_credentials_trouble(struct s3_credentials *credentials, char *out, size_t room);

#endif
