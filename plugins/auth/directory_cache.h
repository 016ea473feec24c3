// SPDX-License-Identifier: Apache-2.0
// The directory on disk, for a start while the control service is away: a text file, 0600, with a SHA-256 over all of it,
// replaced atomically. With it the keys that were accepted. Holds hashes of tokens and keys, never one of them. Blocking; not
// for loops.
#ifndef BFR_AUTH_DIRECTORY_CACHE_H
#define BFR_AUTH_DIRECTORY_CACHE_H

#include <bfr/status.h>

#include "directory.h"
#include "keys.h"

struct directory_cache {
    const char *path;
    char scope[65];                       // whose directory: a hash of address and account, in hex
    uint8_t written[DIRECTORY_HASH_SIZE]; // of what is there now
};

void bfr_directory_cache_init(struct directory_cache *cache, const char *path, const char *url, const char *account);
// BFR_OK with *out NULL: there is none, or one of another scope; no keys then. An error: damaged or not readable,
// err->text says why.
BFR_MUST_CHECK uint32_t bfr_directory_cache_read(struct directory_cache *cache, struct directory **out,
                                                 struct keys *out_keys, struct bfr_err *err);
// Does nothing when the same is there already.
BFR_MUST_CHECK uint32_t bfr_directory_cache_write(struct directory_cache *cache, const struct directory *directory,
                                                  const struct keys *keys, struct bfr_err *err);

#endif
