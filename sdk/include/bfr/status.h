/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results that cross the ABI: status of a call, error text, outcome of a delivery, reason of a burial.
 * All are passed as uint32_t; the enums only name the values.
 */
#ifndef BFR_STATUS_H
#define BFR_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BFR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define BFR_MUST_CHECK
#endif

/* Status of a call that can fail. Zero is success. */
enum bfr_status {
    BFR_OK = 0,
    BFR_EFAIL = 1,   /* failed; the text says why */
    BFR_ENOMEM = 2,  /* out of memory */
    BFR_EINVAL = 3,  /* the caller's or the configuration's fault */
    BFR_ENOTSUP = 4, /* not offered here */
    BFR_ENOENT = 5   /* no such thing */
};

/*
 * Where a failing call says why: one sentence, no full stop, no secret, with the cause and, where known, the way
 * out ("cannot open '/x': Permission denied; give the service user read access"). The caller owns the struct and
 * sets `size` and an empty text; the callee writes the text once, where the cause is known (bfr_err_set in
 * text.h does it).
 */
struct bfr_err {
    uint32_t size;  /* sizeof(struct bfr_err) */
    char text[768]; /* UTF-8, NUL-terminated */
};

/* What became of one delivered batch. Zero is never valid. */
enum bfr_outcome {
    BFR_STORED = 1, /* confirmed: a sink's far end has it; a queue holds it at its level (VOLATILE or STABLE) */
    BFR_RETRY = 2,  /* not now; the host tries again. Charged to the batch unless BFR_OUTAGE is set */
    BFR_REJECT = 3, /* this batch can never be stored; `reason` says why; the host buries it */
    BFR_FATAL = 4   /* this stage cannot work until it is reloaded or the daemon restarted; the batch is held */
};

/* With BFR_RETRY: the far end cannot be reached or refuses everyone; the batch is not to blame. */
#define BFR_OUTAGE UINT32_C(1)

/* Why a batch was buried. Zero is never valid. The names in YAML, API and metrics are these in lower case. */
enum bfr_reason {
    BFR_REASON_CONFLICT = 1, /* other bytes already stand under its name */
    BFR_REASON_REJECTED = 2, /* the sink refused it for good */
    BFR_REASON_ATTEMPTS = 3, /* out of attempts */
    BFR_REASON_BAD_GZIP = 4, /* not the gzip stream it claims to be */
    BFR_REASON_DAMAGED = 5,  /* its bytes changed since they were accepted */
    BFR_REASON_ADOPTED = 6,  /* was a dead letter of the previous product */
    BFR_REASON_EXPIRED = 7   /* older than the configured age */
};

#ifdef __cplusplus
}
#endif
#endif
