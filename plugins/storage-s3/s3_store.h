// SPDX-License-Identifier: Apache-2.0
// The stage: its uploads, how deliveries get to the client's thread and are completed, what is known about the bucket. The
// mutex guards the lists, the counters and the trouble; everything else belongs to the client's thread.
#ifndef BFR_S3_STORE_H
#define BFR_S3_STORE_H

#include <pthread.h>

#include "s3_check.h"
#include "s3_upload.h"

#define S3_DOUBTS 65536 // bits

struct s3_store {
    struct s3_options options;
    struct s3_session session;
    struct s3_check check;
    int64_t started_ns; // Unix time
    struct s3_upload *uploads;
    // One bit for each hash of a name whose put ended without an answer. Never cleared: a bit too many costs a HEAD.
    uint8_t doubts[S3_DOUBTS / 8];

    pthread_mutex_t mutex;
    pthread_cond_t news;        // an upload ended
    struct s3_upload *idle;     // list
    struct s3_upload *incoming; // list, oldest first
    struct s3_upload **incoming_end;
    uint32_t open;     // taken and not completed
    bool refused;      // a put was cut short since the last ready
    char trouble[256]; // of the uploads: the last outage; empty since one succeeded
};

// NULL with err->text. The options are read here.
struct s3_store *bfr_s3_store_new(const struct bfr_host *host, struct bfr_err *err);
BFR_MUST_CHECK uint32_t bfr_s3_store_start(struct s3_store *store, struct bfr_err *err);
size_t bfr_s3_store_put(struct s3_store *store, const struct bfr_delivery *const *deliveries, size_t count);
void bfr_s3_store_drain(struct s3_store *store, uint64_t deadline_ns);
void bfr_s3_store_stop(struct s3_store *store);
void bfr_s3_store_free(struct s3_store *store);
void bfr_s3_store_health(struct s3_store *store, struct bfr_health *out);

// The end of one upload: completes its delivery and gives the slot back. [client's thread, or main after it has ended]
void bfr_s3_store_complete(struct s3_store *store, struct s3_upload *upload, const struct bfr_completion *completion);

// Was a put under this name left without an answer, now or in an earlier life?
bool bfr_s3_store_doubts(const struct s3_store *store, const struct bfr_delivery *delivery);
void bfr_s3_store_doubt(struct s3_store *store, const struct bfr_batch *batch);

#endif
