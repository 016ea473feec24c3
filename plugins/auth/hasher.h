// SPDX-License-Identifier: Apache-2.0
// SHA-256 of presented tokens, once for each request: a context for each thread, made at its first use and used again, so that
// a hash costs no allocation.
#ifndef BFR_AUTH_HASHER_H
#define BFR_AUTH_HASHER_H

#include <pthread.h>
#include <stdbool.h>

#include <openssl/evp.h>

#include <bfr/batch.h>

struct hasher {
    EVP_MD *sha256;        // fetched once: fetching takes longer than hashing
    pthread_key_t context; // EVP_MD_CTX of a thread, ready to be updated; valid with sha256
};

// False: OpenSSL offers no SHA-256, or memory is short; nothing is left.
bool bfr_hasher_init(struct hasher *hasher);
void bfr_hasher_fini(struct hasher *hasher); // no thread hashes any more

// False when memory is short. [any]
bool bfr_hasher_hash(const struct hasher *hasher, struct bfr_span text, uint8_t out[32]);

#endif
