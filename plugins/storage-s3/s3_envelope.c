// SPDX-License-Identifier: Apache-2.0
// See s3_envelope.h. File names are {tenant}--{dataset}--{time}--{hint}.gz; older senders leave parts out.
#include "s3_envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

// Behind "{tenant}--{dataset}--" of the name, or NULL. Compared as a prefix, because ids may hold "--" themselves.
static const char *behind_ids(const struct bfr_batch *batch)
{
    const char *at = batch->filename;
    size_t length = strlen(batch->tenant);

    if (strncmp(at, batch->tenant, length) != 0 || strncmp(at + length, "--", 2) != 0)
        return NULL;
    at += length + 2;
    length = strlen(batch->dataset);
    return strncmp(at, batch->dataset, length) == 0 && strncmp(at + length, "--", 2) == 0 ? at + length + 2 : NULL;
}

static void copy_part(const char *from, size_t length, char *out, size_t room)
{
    snprintf(out, room, "%.*s", (int)(length < room ? length : room - 1), from);
}

void bfr_s3_data_type(const struct bfr_batch *batch, char *out, size_t room)
{
    const char *rest = behind_ids(batch);
    const char *name = batch->filename;
    size_t end = strlen(name);

    if (end >= 3 && strcmp(name + end - 3, ".gz") == 0)
        end -= 3;
    out[0] = '\0';
    const char *mark = rest == NULL ? NULL : strstr(rest, "--");
    if (mark != NULL && mark + 2 < name + end)
        copy_part(mark + 2,
                  strcspn(mark + 2, ".") < (size_t)(name + end - mark - 2) ? strcspn(mark + 2, ".")
                                                                           : (size_t)(name + end - mark - 2),
                  out, room);
    if (out[0] == '\0' && mark == NULL) {
        const char *dot = memrchr(name, '.', end);
        if (dot != NULL)
            copy_part(dot + 1, (size_t)(name + end - dot - 1), out, room);
    }
    if (out[0] == '\0')
        snprintf(out, room, "raw");
}

// 15 and more digits are nanoseconds, 10 to 14 seconds.
static bool read_digits(const char *text, size_t length, int64_t *out)
{
    int64_t value = 0;

    if (length < 10 || length > 19 || strspn(text, "0123456789") < length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text[i] - '0', &value))
            return false;
    return length >= 15 ? (*out = value, true) : !__builtin_mul_overflow(value, NS_PER_S, out);
}

static bool read_date(const char *text, size_t length, int64_t *out)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y%m%d-%H%M%S", "%Y%m%dT%H%M%SZ", "%Y-%m-%d %H:%M:%S"};
    char part[40];

    if (length >= sizeof part)
        return false;
    copy_part(text, length, part, sizeof part);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime(part, forms[i], &tm);
        if (end != NULL && *end == '\0') {
            *out = (int64_t)timegm(&tm) * NS_PER_S;
            return true;
        }
    }
    return false;
}

bool bfr_s3_created_ns(const struct bfr_batch *batch, int64_t *out)
{
    const char *rest = behind_ids(batch);

    if (rest == NULL)
        return false;
    const char *mark = strstr(rest, "--");
    size_t length = mark != NULL ? (size_t)(mark - rest) : strcspn(rest, ".");
    return read_digits(rest, length, out) || read_date(rest, length, out);
}

static void add_time(struct s3_request *request, const char *name, int64_t unix_ns)
{
    char text[32];
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    bfr_s3_request_add_meta(request, name, text);
}

static void add_number(struct s3_request *request, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    bfr_s3_request_add_meta(request, name, text);
}

static void add_hash(struct s3_request *request, const char *name, const uint8_t sha256[32])
{
    char text[65];

    bfr_hex(sha256, 32, text);
    bfr_s3_request_add_meta(request, name, text);
}

void bfr_s3_envelope_add(struct s3_request *request, const struct bfr_delivery *delivery, int64_t now_ns)
{
    const struct bfr_batch *batch = delivery->batch;
    char data_type[BFR_FILENAME_MAX + 1];
    int64_t created_ns;

    bfr_s3_request_add_meta(request, "tenant", batch->tenant);
    bfr_s3_request_add_meta(request, "dataset", batch->dataset);
    bfr_s3_request_add_meta(request, "original-filename", batch->filename);
    add_number(request, "bytes", batch->body_bytes);
    add_number(request, "line-count", batch->line_count);
    add_time(request, "receiver-queued-at", batch->received_ns);
    add_time(request, "s3-uploaded-at", now_ns);
    add_number(request, "retry-count", delivery->attempt > 0 ? delivery->attempt - 1 : 0);
    bfr_s3_request_add_meta(request, "source", "bytefreezer-receiver");
    bfr_s3_data_type(batch, data_type, sizeof data_type);
    bfr_s3_request_add_meta(request, "data-type", data_type);
    bool generated = (batch->flags & BFR_BATCH_NAME_GENERATED) != 0;
    bfr_s3_request_add_meta(request, "filename-source", generated ? "generated" : "proxy");
    if (bfr_s3_created_ns(batch, &created_ns))
        add_time(request, "proxy-created-at", created_ns);
    add_hash(request, "sha256", batch->stored_sha256);
    if ((batch->flags & BFR_BATCH_COMPRESSED_HERE) != 0)
        add_hash(request, "source-sha256", batch->source_sha256);
}

void bfr_s3_settings_add(struct s3_request *request, const struct s3_options *options)
{
    if (options->storage_class[0] != '\0')
        bfr_s3_request_add(request, "x-amz-storage-class", "%s", options->storage_class);
    if (strcmp(options->sse, "none") != 0)
        bfr_s3_request_add(request, "x-amz-server-side-encryption", "%s", options->sse);
    if (options->kms_key_id[0] != '\0')
        bfr_s3_request_add(request, "x-amz-server-side-encryption-aws-kms-key-id", "%s", options->kms_key_id);
    if (options->tagging[0] != '\0')
        bfr_s3_request_add(request, "x-amz-tagging", "%s", options->tagging);
}
