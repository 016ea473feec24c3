// SPDX-License-Identifier: Apache-2.0
// SHA-256 of presented tokens. A sender presents the same one with each request, so each thread remembers those it has met
// lately with their hashes, and hashes only what is new to it. What is remembered says what the hash is, never whether the
// token opens anything: that is asked anew for each request. The one place of mode control that keeps tokens themselves: in
// memory alone, wiped when their place is taken and when the thread or the stage ends.
#ifndef BFR_AUTH_HASHER_H
#define BFR_AUTH_HASHER_H

#include <pthread.h>
#include <stdbool.h>

#include <openssl/evp.h>

#include <bfr/batch.h>

#define HASHER_SIZE      32
#define HASHER_TOKEN_MAX 128 // bytes of a token that is remembered; a longer one is hashed each time

struct hasher {
    EVP_MD *sha256;    // fetched once: fetching takes longer than hashing
    pthread_key_t own; // struct own of a thread, made at its first hash; valid with sha256
};

// False: OpenSSL offers no SHA-256, or memory is short; nothing is left.
bool bfr_hasher_init(struct hasher *hasher);
void bfr_hasher_fini(struct hasher *hasher); // no thread hashes any more

// False when memory is short, or OpenSSL has no random numbers. [any]
bool bfr_hasher_hash(const struct hasher *hasher, struct bfr_span text, uint8_t out[HASHER_SIZE]);

#endif
