// SPDX-License-Identifier: Apache-2.0
// What is known about the bucket: is it there, may we use it, does the store keep conditions. Looked at in the background
// from start on, again after it was missing; nothing waits for it. Runs on the client's thread, one step at a time.
#ifndef BFR_S3_CHECK_H
#define BFR_S3_CHECK_H

#include <pthread.h>
#include <stdatomic.h>

#include "s3_call.h"

struct s3_store;

// Does a put with If-None-Match leave alone what stands there? Zero is never valid.
enum s3_conditions {
    S3_CONDITIONS_UNKNOWN = 1,
    S3_CONDITIONS_KEPT = 2,
    S3_CONDITIONS_IGNORED = 3, // the header is taken, and the object replaced all the same
    S3_CONDITIONS_REFUSED = 4  // a put with the header fails, so it goes without
};

struct s3_check {
    struct s3_store *store;
    struct s3_call *call;
    uint32_t step;
    uint32_t steps_left; // of the row of requests; a store that answers strangely must not keep us busy
    bool running;
    bool done;      // nothing is left to find out
    bool plain;     // the probe is put without the condition
    char name[160]; // of the probe object
    char body[256]; // of the request that creates the bucket
    struct bfr_span span;
    uint64_t pause_ns;      // doubled by each check that fails
    uint64_t not_before_ns; // the next check
    atomic_uint conditions; // read by health
    atomic_bool ended;      // a check has, well or not
    pthread_mutex_t mutex;  // guards trouble
    struct bfr_err trouble;
};

BFR_MUST_CHECK bool bfr_s3_check_init(struct s3_check *check, struct s3_store *store);
void bfr_s3_check_free(struct s3_check *check);

// Find out what is not known yet, if it is time. Cheap when there is nothing to do. [client's thread]
void bfr_s3_check_go_on(struct s3_check *check);
// The bucket is missing, or the store no longer takes what it took: what was known is to be found out again. [client's thread]
void bfr_s3_check_forget(struct s3_check *check);
// A put went well: whatever a check met, the bucket works. [client's thread]
void bfr_s3_check_works(struct s3_check *check);

// Has the bucket been looked at? [any]
bool bfr_s3_check_has_ended(const struct s3_check *check);
uint32_t bfr_s3_check_conditions(const struct s3_check *check);
void bfr_s3_check_set_conditions(struct s3_check *check, uint32_t conditions);

// "" when all is well. [any]
void bfr_s3_check_trouble(struct s3_check *check, char *out, size_t room);

#endif
