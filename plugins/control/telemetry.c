// SPDX-License-Identifier: Apache-2.0
// Throughput, dataset metrics and errors for the control service. On the courier's thread, one call at a time; a report that
// falls due goes first, so that a long list does not make us look dead.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <bfr/text.h>

#include "reporter.h"

#define ERROR_TIMEOUT_MS 10000

// Taken, or never to be taken: both end it. True: go on.
static bool settle(struct reporter *reporter, struct duty *duty, struct courier_result *result)
{
    bool ended = result->taken || result->refused;
    json_decref(result->reply);
    result->reply = NULL;
    if (!ended)
        bfr_duty_failed(duty, reporter->host, reporter->courier, result->text);
    return ended;
}

static bool may_go_on(const struct reporter *reporter)
{
    return bfr_courier_leaving(reporter->courier) ||
           !bfr_duty_is_due(&reporter->report, bfr_courier_now(reporter->courier));
}

// The batch's account, or else the receiver's own; these two words, which may stand for that, name none.
static const char *account_of(const struct reporter *reporter, const char *account)
{
    bool names_none = strcmp(reporter->account, "managed") == 0 || strcmp(reporter->account, "system") == 0;

    if (account[0] != '\0')
        return account;
    return names_none ? "" : reporter->account;
}

static void tell_throughput(struct reporter *reporter, const struct tally_entry *entry, const struct tally_sums *delta,
                            struct courier_result *out)
{
    json_t *body = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "account_id", account_of(reporter, entry->account),
                             "tenant_id", entry->tenant, "dataset_id", entry->dataset, "bytes_received",
                             (json_int_t)delta->original_bytes, "lines_received", (json_int_t)delta->accepted_lines,
                             "bytes_stored", (json_int_t)delta->stored_bytes, "success", delta->errors == 0);
    bfr_reporter_call(reporter, "POST", "/api/v1/activity/receiver/throughput", body, reporter->timeout_ms, out);
}

static void tell_metrics(struct reporter *reporter, const struct tally_entry *entry, const struct tally_sums *delta,
                         struct courier_result *out)
{
    char *path = NULL;
    if (asprintf(&path, "/api/v1/tenants/%s/datasets/%s/metrics", entry->tenant, entry->dataset) < 0)
        path = NULL;
    json_t *body =
        json_pack("{s:s, s:I, s:I, s:I, s:I}", "component", "receiver-to-piper", "input_bytes",
                  (json_int_t)delta->original_bytes, "output_bytes", (json_int_t)delta->stored_bytes, "lines_processed",
                  (json_int_t)delta->stored_lines, "error_count", (json_int_t)delta->errors);
    bfr_reporter_call(reporter, "POST", path, body, reporter->timeout_ms, out);
    free(path);
}

void bfr_reporter_telemetry(struct reporter *reporter)
{
    const struct bfr_activity_1 *activity = reporter->host->get_extension(reporter->host, BFR_EXT_ACTIVITY_1);
    struct tally_sums delta;
    struct tally_entry *entry;
    unsigned kind;

    bfr_tally_update(reporter->tally, reporter->host, activity);
    while ((entry = bfr_tally_next(reporter->tally, &kind, &delta)) != NULL) {
        struct courier_result result;
        if (kind == 0)
            tell_throughput(reporter, entry, &delta, &result);
        else
            tell_metrics(reporter, entry, &delta, &result);
        if (!settle(reporter, &reporter->telemetry, &result))
            return;
        bfr_tally_told(entry, kind, &delta);
        if (!may_go_on(reporter))
            return; // still due
    }
    bfr_duty_done(&reporter->telemetry, reporter->host, reporter->courier);
}

// ---- errors ----

static const struct {
    const char *type, *message, *severity;
} words[] = {
    [WATCH_BURIED] = {"batch_given_up", "batches were given up and are kept as dead letters", "error"},
    [WATCH_FAILED] = {"s3_upload_failure", "batches could not be delivered and are tried again", "warning"},
    [WATCH_STAGE] = {"stage_degraded", "a stage does not work as it should", "error"},
};

static void note_finding(void *arg, const struct watch_finding *finding)
{
    struct reporter *reporter = arg;
    if (finding->kind > WATCH_STAGE)
        return; // of senders, whose business it is
    struct notice notice = {.type = words[finding->kind].type,
                            .message = words[finding->kind].message,
                            .severity = words[finding->kind].severity,
                            .count = finding->count};
    if (finding->kind == WATCH_STAGE && strcmp(finding->plugin, "s3") == 0)
        notice.type = words[WATCH_FAILED].type;
    if (finding->kind == WATCH_STAGE && finding->failed)
        notice.severity = "critical";
    snprintf(notice.account, sizeof notice.account, "%s", finding->account);
    snprintf(notice.tenant, sizeof notice.tenant, "%s", finding->tenant);
    snprintf(notice.dataset, sizeof notice.dataset, "%s", finding->dataset);
    snprintf(notice.subject, sizeof notice.subject, "%.64s", finding->stage);
    snprintf(notice.sample, sizeof notice.sample, "%.190s", finding->cause);
    (void)bfr_notices_add(&reporter->notices, &notice);
}

// What makes two errors the same, as 64 hexadecimal digits.
static void hash_notice(const struct notice *notice, char out[2 * 32 + 1])
{
    const char *const parts[] = {notice->type, notice->message, notice->tenant, notice->dataset, notice->subject};
    uint8_t digest[32] = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1) {
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
            EVP_DigestUpdate(context, parts[i], strlen(parts[i]) + 1);
        EVP_DigestFinal_ex(context, digest, NULL);
    }
    EVP_MD_CTX_free(context);
    bfr_hex(digest, sizeof digest, out);
}

static void put_text(json_t *out, const char *key, const char *text)
{
    if (text[0] != '\0')
        (void)json_object_set_new(out, key, json_string(text)); // left out when it is no UTF-8
}

static json_t *error_body(const struct reporter *reporter, const struct notice *notice)
{
    char hash[2 * 32 + 1], message[192];
    hash_notice(notice, hash);
    if (notice->subject[0] != '\0')
        snprintf(message, sizeof message, "%s: %s", notice->message, notice->subject);
    else
        snprintf(message, sizeof message, "%s", notice->message);
    json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:I}}", "error_type", notice->type, "component", "receiver",
                             "error_message", message, "severity", notice->severity, "error_hash", hash, "metadata",
                             "count", (json_int_t)notice->count);
    if (body == NULL)
        return NULL;
    put_text(body, "tenant_id", notice->tenant);
    put_text(body, "dataset_id", notice->dataset);
    put_text(body, "error_sample", notice->sample);
    put_text(body, "account_id", account_of(reporter, notice->account));
    return body;
}

void bfr_reporter_errors(struct reporter *reporter)
{
    struct notice *notice;
    bfr_watch_look(reporter->watch, note_finding, reporter);
    while ((notice = bfr_notices_next(&reporter->notices, bfr_courier_now(reporter->courier))) != NULL) {
        struct courier_result result;
        uint64_t count = notice->count;
        bfr_reporter_call(reporter, "POST", "/api/v1/errors", error_body(reporter, notice), ERROR_TIMEOUT_MS, &result);
        if (!settle(reporter, &reporter->errors, &result))
            return;
        bfr_notices_sent(notice, count, bfr_courier_now(reporter->courier));
        if (!may_go_on(reporter))
            return;
    }
    bfr_duty_done(&reporter->errors, reporter->host, reporter->courier);
}
