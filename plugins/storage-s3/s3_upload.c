// SPDX-License-Identifier: Apache-2.0
// See s3_upload.h.
#include "s3_upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "s3_envelope.h"
#include "s3_store.h"

static const uint64_t retry_after_max_s = 3600;

static void begin(struct s3_upload *upload);
static void send_put(struct s3_upload *upload);
static void on_answer(void *arg, const struct s3_answer *answer);

// --- ends

static void complete(struct s3_upload *upload, uint32_t outcome, uint32_t flags, uint32_t reason, const char *text)
{
    const struct bfr_completion completion = {
        .size = sizeof completion, .outcome = outcome, .flags = flags, .reason = reason, .text = text};

    EVP_MD_CTX_free(upload->hash);
    upload->hash = NULL;
    bfr_s3_store_complete(upload->store, upload, &completion);
}

static void stored(struct s3_upload *upload)
{
    bfr_s3_check_works(&upload->store->check);
    complete(upload, BFR_STORED, 0, 0, NULL);
}

// In milliseconds; 0: the store did not say.
static uint64_t retry_after_ms(const struct s3_answer *answer)
{
    const char *text = answer->reply != NULL ? bfr_http_header(answer->reply, "retry-after") : NULL;
    uint64_t seconds = text != NULL ? strtoull(text, NULL, 10) : 0;

    return 1000 * (seconds < retry_after_max_s ? seconds : retry_after_max_s);
}

// What the answer means by the table, or an outage when there was none.
static void report(struct s3_upload *upload, const struct s3_answer *answer)
{
    const struct s3_meaning *meaning = answer->meaning;
    struct bfr_completion completion = {.size = sizeof completion,
                                        .outcome = meaning != NULL ? meaning->outcome : BFR_RETRY,
                                        .flags = meaning != NULL ? meaning->flags : BFR_OUTAGE,
                                        .reason = BFR_REASON_REJECTED,
                                        .retry_after_ms = retry_after_ms(answer),
                                        .text = answer->why.text};

    if (meaning != NULL && (meaning->action == S3_ACTION_BUCKET || meaning->action == S3_ACTION_UNCONDITIONAL))
        bfr_s3_check_forget(&upload->store->check);
    EVP_MD_CTX_free(upload->hash);
    upload->hash = NULL;
    bfr_s3_store_complete(upload->store, upload, &completion);
}

static void out_of_memory(struct s3_upload *upload)
{
    complete(upload, BFR_RETRY, BFR_OUTAGE, 0, "out of memory; give the machine or the service more of it");
}

// `there` says what stands in the bucket.
static void conflict(struct s3_upload *upload, const char *there)
{
    const struct bfr_batch *batch = upload->delivery->batch;
    struct bfr_err why;
    char here[65];

    bfr_hex(batch->stored_sha256, sizeof batch->stored_sha256, here);
    (void)bfr_err_set(
        &why, BFR_EFAIL,
        "'%.280s' exists with other bytes: %s there, sha256 %s in this batch; move it away and retry the batch",
        upload->call.request.path, there, here);
    complete(upload, BFR_REJECT, 0, BFR_REASON_CONFLICT, why.text);
}

// --- comparing with what stands there

static uint64_t content_length(const struct s3_answer *answer)
{
    const char *text = bfr_http_header(answer->reply, "content-length");
    return text != NULL ? strtoull(text, NULL, 10) : UINT64_MAX;
}

// The MD5 that a plain ETag is, as 32 hex digits. Objects put in parts, or encrypted with a key of one's own or of a key
// service, have another kind.
static bool plain_etag(const struct s3_answer *answer, char out[33])
{
    const char *etag = bfr_http_header(answer->reply, "etag");
    const char *sse = bfr_http_header(answer->reply, "x-amz-server-side-encryption");

    if (etag == NULL || (sse != NULL && strcmp(sse, "AES256") != 0) ||
        bfr_http_header(answer->reply, "x-amz-server-side-encryption-customer-algorithm") != NULL)
        return false;
    etag += *etag == '"';
    if (strspn(etag, "0123456789abcdef") != 32 || (etag[32] != '"' && etag[32] != '\0'))
        return false;
    memcpy(out, etag, 32);
    out[32] = '\0';
    return true;
}

static bool hash_batch(const struct bfr_batch *batch, const EVP_MD *kind, uint8_t *out)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool ok = hash != NULL && EVP_DigestInit_ex(hash, kind, NULL) == 1;

    for (uint32_t i = 0; ok && i < batch->span_count; i++)
        ok = EVP_DigestUpdate(hash, batch->spans[i].data, batch->spans[i].size) == 1;
    ok = ok && EVP_DigestFinal_ex(hash, out, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return ok;
}

static void begin_object(struct s3_upload *upload, uint32_t step, const char *method, const uint8_t *payload)
{
    const struct bfr_batch *batch = upload->delivery->batch;
    const char *segments[] = {batch->tenant, batch->dataset, batch->filename};

    upload->step = step;
    upload->call.on_answer = on_answer;
    upload->call.arg = upload;
    bfr_s3_call_begin(&upload->call, method, "", payload, segments, 3);
}

static void send_head(struct s3_upload *upload, uint32_t step)
{
    begin_object(upload, step, "HEAD", NULL);
    bfr_s3_call_send(&upload->call);
}

static bool on_body(void *arg, const uint8_t *data, size_t size)
{
    // libbfr-http hands the call over, which is what a request belongs to.
    struct s3_call *call = arg;
    struct s3_upload *upload = call->arg;

    upload->read_bytes += size;
    return upload->read_bytes <= upload->delivery->batch->body_bytes && EVP_DigestUpdate(upload->hash, data, size) == 1;
}

static void send_get(struct s3_upload *upload)
{
    upload->hash = EVP_MD_CTX_new();
    upload->read_bytes = 0;
    if (upload->hash == NULL || EVP_DigestInit_ex(upload->hash, EVP_sha256(), NULL) != 1) {
        out_of_memory(upload);
        return;
    }
    begin_object(upload, S3_STEP_READ, "GET", NULL);
    upload->call.on_body = on_body;
    bfr_s3_call_send(&upload->call);
}

static void compare_by_etag(struct s3_upload *upload, const char *etag)
{
    uint8_t md5[16];
    char hex[33], there[80];

    if (!hash_batch(upload->delivery->batch, EVP_md5(), md5)) {
        send_get(upload); // MD5 is not offered where FIPS rules
        return;
    }
    bfr_hex(md5, sizeof md5, hex);
    if (strcmp(hex, etag) == 0) {
        stored(upload);
        return;
    }
    snprintf(there, sizeof there, "no sha256 noted, md5 %s", etag);
    conflict(upload, there);
}

// The answer to a HEAD: is it the same object?
static void compare(struct s3_upload *upload, const struct s3_answer *answer)
{
    const struct bfr_batch *batch = upload->delivery->batch;
    const char *sha256 = bfr_http_header(answer->reply, "x-amz-meta-sha256");
    bool same_length = content_length(answer) == batch->body_bytes;
    char here[65], there[128], etag[33];

    bfr_hex(batch->stored_sha256, sizeof batch->stored_sha256, here);
    if (sha256 != NULL && strlen(sha256) == 64) {
        snprintf(there, sizeof there, "sha256 %s", sha256);
        if (same_length && strcasecmp(sha256, here) == 0)
            stored(upload);
        else
            conflict(upload, there);
    } else if (!same_length) {
        snprintf(there, sizeof there, "no sha256 noted, %" PRIu64 " bytes instead of %" PRIu64, content_length(answer),
                 batch->body_bytes);
        conflict(upload, there);
    } else if (plain_etag(answer, etag)) {
        compare_by_etag(upload, etag);
    } else {
        send_get(upload);
    }
}

// --- answers

static void on_head(struct s3_upload *upload, const struct s3_answer *answer)
{
    bool look = upload->step == S3_STEP_LOOK;

    if (answer->ok)
        compare(upload, answer);
    else if (answer->status != 404)
        report(upload, answer);
    else if (look)
        send_put(upload);
    else
        stored(upload); // it was there a moment ago: the reader downstream has consumed it
}

static void on_read(struct s3_upload *upload, const struct s3_answer *answer)
{
    uint8_t sha256[32];
    char hex[65], there[80];

    bool gone = answer->status == 404;
    if (!answer->ok && !gone) {
        report(upload, answer);
    } else if (!gone && EVP_DigestFinal_ex(upload->hash, sha256, NULL) != 1) {
        out_of_memory(upload);
    } else if (gone || memcmp(sha256, upload->delivery->batch->stored_sha256, sizeof sha256) == 0) {
        stored(upload);
    } else {
        bfr_hex(sha256, sizeof sha256, hex);
        snprintf(there, sizeof there, "sha256 %s", hex);
        conflict(upload, there);
    }
}

// Once may be the network. Twice is said of this batch for good; whether it is its bytes here tells where to look.
static void damaged(struct s3_upload *upload, const struct s3_answer *answer)
{
    const struct bfr_batch *batch = upload->delivery->batch;
    uint8_t sha256[32];
    struct bfr_err why;

    if (upload->delivery->attempt < 2) {
        report(upload, answer);
        return;
    }
    bool here = hash_batch(batch, EVP_sha256(), sha256) && memcmp(sha256, batch->stored_sha256, sizeof sha256) != 0;
    (void)bfr_err_set(&why, BFR_EFAIL, "%s: %s",
                      here ? "changed in this machine since it was accepted" : "changed on its way again",
                      answer->why.text);
    complete(upload, BFR_REJECT, 0, BFR_REASON_DAMAGED, why.text);
}

// Some header is not known to the store. Where the check of the bucket has not found out yet whether the condition is, this
// put tries without; where it has, it is another one.
static void unconditional(struct s3_upload *upload, const struct s3_answer *answer)
{
    if (!upload->conditional || bfr_s3_check_conditions(&upload->store->check) != S3_CONDITIONS_UNKNOWN) {
        report(upload, answer);
        return;
    }
    upload->plain = true;
    begin(upload);
}

static void on_put(struct s3_upload *upload, const struct s3_answer *answer)
{
    uint32_t action = answer->meaning != NULL ? answer->meaning->action : S3_ACTION_REPORT;

    if (answer->ok && bfr_http_header(answer->reply, "etag") != NULL) {
        stored(upload);
        return;
    }
    if (answer->ok) {
        complete(upload, BFR_RETRY, BFR_OUTAGE, 0,
                 "the answer to the put has no ETag; check endpoint and proxy: this does not answer like an S3 store");
        return;
    }
    if (answer->uncertain)
        bfr_s3_store_doubt(upload->store, upload->delivery->batch);
    if (action == S3_ACTION_COMPARE)
        send_head(upload, S3_STEP_COMPARE);
    else if (action == S3_ACTION_DAMAGE)
        damaged(upload, answer);
    else if (action == S3_ACTION_UNCONDITIONAL)
        unconditional(upload, answer);
    else
        report(upload, answer);
}

static void on_answer(void *arg, const struct s3_answer *answer)
{
    struct s3_upload *upload = arg;

    if (upload->step == S3_STEP_PUT)
        on_put(upload, answer);
    else if (upload->step == S3_STEP_READ)
        on_read(upload, answer);
    else
        on_head(upload, answer);
}

// --- sending

static void send_put(struct s3_upload *upload)
{
    const struct bfr_batch *batch = upload->delivery->batch;
    struct s3_call *call = &upload->call;
    const struct bfr_host *host = call->session->host;

    begin_object(upload, S3_STEP_PUT, "PUT", batch->stored_sha256);
    call->spans = batch->spans;
    call->span_count = batch->span_count;
    call->body_bytes = batch->body_bytes;
    call->has_body = true;
    bfr_s3_request_add(&call->request, "content-type", "application/gzip");
    uint32_t conditions = bfr_s3_check_conditions(&upload->store->check);
    call->once = conditions != S3_CONDITIONS_KEPT;
    upload->conditional = !upload->plain && conditions != S3_CONDITIONS_REFUSED;
    if (upload->conditional)
        bfr_s3_request_add(&call->request, "if-none-match", "*");
    bfr_s3_settings_add(&call->request, call->session->options);
    bfr_s3_envelope_add(&call->request, upload->delivery, host->wall_ns(host) + call->session->skew_ns);
    bfr_s3_call_send(call);
}

static void begin(struct s3_upload *upload)
{
    bool kept = bfr_s3_check_conditions(&upload->store->check) == S3_CONDITIONS_KEPT;

    if (!kept && bfr_s3_store_doubts(upload->store, upload->delivery))
        send_head(upload, S3_STEP_LOOK);
    else
        send_put(upload);
}

void bfr_s3_upload_begin(struct s3_upload *upload)
{
    upload->plain = false;
    begin(upload);
}
