/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch: one accepted POST body with its envelope, immutable. And a delivery: a batch handed to one stage once.
 *
 * Ownership. Batches are made by the host (host->batch_make for a queue that reads them back from somewhere) and
 * are reference counted. A batch is valid from the put that delivers it until its completion; a stage that needs
 * it longer (a queue) takes a reference with host->batch_retain and gives it back with host->batch_release.
 */
#ifndef BFR_BATCH_H
#define BFR_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stretch of memory, not NUL-terminated. */
struct bfr_span {
    const uint8_t *data;
    size_t size; /* bytes */
};

#define BFR_ID_MAX 64        /* bytes in an account, tenant or dataset id */
#define BFR_FILENAME_MAX 240 /* bytes in a filename */

/* Flags of a batch. */
#define BFR_BATCH_COMPRESSED_HERE UINT32_C(1) /* the sender's plain body was stored as one gzip member */
#define BFR_BATCH_NAME_GENERATED UINT32_C(2)  /* the sender gave no filename */
#define BFR_BATCH_READ_BACK UINT32_C(4) /* this copy was read back from where its queue keeps it; not part of the batch */

/*
 * All strings are UTF-8, NUL-terminated, never NULL (empty when unknown) and live as long as the batch.
 * account, tenant, dataset and filename are safe as one path segment: no slash, no backslash, no control character,
 * not "." or ".."; ids match [A-Za-z0-9._-]{1,64} without a leading dot (the account may be empty).
 */
struct bfr_batch {
    uint32_t size;  /* sizeof(struct bfr_batch) as the host was compiled */
    uint32_t flags; /* BFR_BATCH_* */

    const char *account;
    const char *tenant;
    const char *dataset;
    const char *filename;     /* the idempotency key within (tenant, dataset) */
    const char *batch_id;     /* X-Proxy-Batch-ID, or "unknown" */
    const char *data_hint;    /* X-Proxy-Data-Hint, or "unknown" */
    const char *content_type; /* of the request; may be empty */

    uint64_t line_count;     /* X-Proxy-Line-Count, or 1; informational, never trusted */
    uint64_t original_bytes; /* X-Proxy-Original-Bytes, or the body's length as received; informational */
    int64_t created_ns;      /* X-Proxy-Created-At, or received_ns; Unix time in ns */
    int64_t received_ns;     /* when the body was complete; Unix time in ns */

    uint64_t body_bytes;       /* length of the body as stored */
    uint8_t stored_sha256[32]; /* of the body as stored */
    uint8_t source_sha256[32]; /* of the body as the sender sent it; equals stored_sha256 unless COMPRESSED_HERE */
    uint32_t crc32c;           /* of the body as stored: RFC 3720 appendix B.4, initial and final value ~0 */

    uint32_t span_count;
    const struct bfr_span *spans; /* the body as stored, in order; `span_count` of them, none empty */
};

/*
 * One batch handed to one stage. The struct is valid until its completion. `token` names the delivery in
 * host->complete; it is never used twice in the life of the process, so a late or second completion is recognised.
 */
struct bfr_delivery {
    uint32_t size;    /* sizeof(struct bfr_delivery) */
    uint32_t attempt; /* 1 for the first; counts only failures blamed on the batch */
    uint64_t token;
    const struct bfr_batch *batch;
    uint32_t flags; /* BFR_DELIVERY_* */
    uint32_t reserved;
};

#define BFR_DELIVERY_AWAITED UINT32_C(1) /* a sender waits for this completion: do not hold it back to gather more */

/* The end of one delivery, reported by the stage that took it. Copied by the host during the call. */
struct bfr_completion {
    uint32_t size;           /* sizeof(struct bfr_completion) */
    uint32_t outcome;        /* enum bfr_outcome */
    uint64_t token;          /* of the delivery */
    uint32_t flags;          /* BFR_OUTAGE */
    uint32_t reason;         /* enum bfr_reason, with BFR_REJECT */
    uint64_t retry_after_ms; /* with BFR_RETRY: not before that long from now; 0 = the host decides */
    const char *text;        /* one line for the log and the dead letter; NULL with BFR_STORED */
};

#ifdef __cplusplus
}
#endif
#endif
