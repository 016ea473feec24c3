// SPDX-License-Identifier: Apache-2.0
// What takes long, away from the admin loop: one worker thread takes jobs in order, and the loop sends what came of them. A
// job that waits holds its connection; there are at most BFR_ADMIN_JOBS_MAX.
#ifndef BFR_CORE_HTTP_ADMIN_WORK_H
#define BFR_CORE_HTTP_ADMIN_WORK_H

#include <event2/http.h>
#include <jansson.h>

#include <bfr/batch.h>
#include <bfr/queue.h>

#include "http_mailbox.h"
#include "utf8.h"

#define BFR_ADMIN_JOBS_MAX  32
#define BFR_LETTER_ID_MAX   64
#define BFR_LETTERS_A_PAGE  100
#define BFR_LETTERS_AT_MOST 1000

struct bfr_http_admin;

// Which letters. "" in tenant and dataset matches nothing, "*" anything; "" in the other two anything. The limits are in
// characters.
struct bfr_admin_selector {
    char tenant[BFR_UTF8_MAX_BYTES * BFR_ID_MAX + 1];
    char dataset[BFR_UTF8_MAX_BYTES * BFR_ID_MAX + 1];
    char filename[BFR_UTF8_MAX_BYTES * BFR_FILENAME_MAX + 1];
    char id[BFR_UTF8_MAX_BYTES * BFR_LETTER_ID_MAX + 1];
    bool dry_run;
};

struct bfr_admin_job {
    struct bfr_mail mail; // first; for the way back
    struct bfr_admin_job *next;
    struct bfr_http_admin *admin;
    struct evhttp_request *request; // the admin thread's alone
    // Sets status and reply. [worker]
    void (*run)(struct bfr_admin_job *job);
    struct bfr_admin_selector selector;
    char cursor[BFR_LETTER_ID_MAX + 1]; // "": from the first
    uint32_t limit;
    bool retry; // held batches with failed attempts instead of dead letters
    int status;
    json_t *reply; // taken over; NULL becomes a 500
    char *body;    // of `reply`, as text
};

struct bfr_admin_work;

struct bfr_admin_work *bfr_admin_work_new(struct bfr_http_admin *admin); // NULL: memory or descriptors are short
BFR_MUST_CHECK uint32_t bfr_admin_work_start(struct bfr_admin_work *work, struct bfr_err *err);
// Waits for the job that is being done; the others are dropped without a reply. The admin loop must have ended.
void bfr_admin_work_free(struct bfr_admin_work *work); // NULL is allowed

// The reply to `request` will be what `run` makes of a copy of `order`, or is a 503 at once. [admin]
void bfr_admin_work_order(struct bfr_http_admin *admin, struct evhttp_request *request,
                          const struct bfr_admin_job *order);

// Has the admin loop turned since the last call, which asked it to? Asks again. [any]
bool bfr_admin_work_turns(struct bfr_admin_work *work);

// For `run`: {"error": ..., "status": ...}. [worker]
void bfr_admin_job_fail(struct bfr_admin_job *job, int status, const char *error);

#endif
