// SPDX-License-Identifier: Apache-2.0
// See s3_fetch.h.
#include "s3_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

// In the order of AWS's own clients. What is given in the options comes before all of them.
static const struct s3_source *const sources[] = {
    &bfr_s3_source_file,
    &bfr_s3_source_web,
    &bfr_s3_source_container,
    &bfr_s3_source_machine,
};

#define SOURCE_COUNT (sizeof sources / sizeof sources[0])

const char *bfr_s3_fetch_source(const struct s3_fetch *fetch)
{
    return fetch->source < SOURCE_COUNT ? sources[fetch->source]->name : "none";
}

static void finish(struct s3_fetch *fetch, bool found)
{
    OPENSSL_cleanse(fetch->body, sizeof fetch->body);
    OPENSSL_cleanse(fetch->token, sizeof fetch->token);
    fetch->running = false;
    fetch->on_end(fetch->arg, found);
}

// Ask from fetch->source on.
static void ask(struct s3_fetch *fetch)
{
    for (; fetch->source < SOURCE_COUNT; fetch->source++) {
        uint32_t found = sources[fetch->source]->begin(fetch);
        if (found == S3_LATER)
            return;
        if (found != S3_ABSENT) {
            finish(fetch, found == S3_FOUND);
            return;
        }
    }
    (void)bfr_s3_fetch_fail(fetch,
                            "no source of credentials is set up; give access_key and secret_key, a credentials file, "
                            "a web identity, a container's URI or the machine's metadata service");
    finish(fetch, false);
}

void bfr_s3_fetch_begin(struct s3_fetch *fetch)
{
    fetch->running = true;
    fetch->source = 0;
    fetch->why.size = sizeof fetch->why;
    fetch->why.text[0] = '\0';
    ask(fetch);
}

void bfr_s3_fetch_end(struct s3_fetch *fetch, uint32_t found)
{
    if (found == S3_LATER)
        return;
    if (found != S3_ABSENT) {
        finish(fetch, found == S3_FOUND);
        return;
    }
    fetch->source++;
    ask(fetch);
}

static void on_done(void *arg, const struct bfr_http_reply *reply)
{
    struct s3_fetch *fetch = arg;
    fetch->on_reply(fetch, reply);
}

uint32_t bfr_s3_fetch_ask(struct s3_fetch *fetch, const char *method, const char *url, const char *const *headers,
                          size_t header_count, bool body, uint32_t flags)
{
    const struct s3_options *options = fetch->options;

    fetch->span = (struct bfr_span){(const uint8_t *)fetch->body, body ? strlen(fetch->body) : 0};
    uint32_t status = bfr_http_submit(fetch->http, &(struct bfr_http_request){
                                                       .method = method,
                                                       .url = url,
                                                       .headers = headers,
                                                       .header_count = header_count,
                                                       .body = &fetch->span,
                                                       .span_count = fetch->span.size > 0 ? 1 : 0,
                                                       .body_bytes = fetch->span.size,
                                                       .has_body = body,
                                                       .flags = flags,
                                                       .connect_timeout_ms = options->connect_timeout_ms,
                                                       .timeout_ms = options->stall_timeout_ms,
                                                       .reply_max = S3_FETCH_REPLY,
                                                       .on_done = on_done,
                                                       .arg = fetch,
                                                   });
    if (status == BFR_OK)
        return S3_LATER;
    if (status == BFR_EINVAL)
        return bfr_s3_fetch_fail(fetch, "'%s' is no URL; correct the option it comes from", url);
    return bfr_s3_fetch_fail(fetch, status == BFR_ENOMEM ? "out of memory" : "the sink is being stopped");
}

uint32_t bfr_s3_fetch_fail(struct s3_fetch *fetch, const char *format, ...)
{
    char text[sizeof fetch->why.text];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)bfr_err_set(&fetch->why, BFR_EFAIL, "%s", text);
    return S3_FAILED;
}

uint32_t bfr_s3_fetch_refused(struct s3_fetch *fetch, const char *who, const struct bfr_http_reply *reply)
{
    if (reply->end == BFR_HTTP_REPLIED)
        return bfr_s3_fetch_fail(fetch, "%s answered %u%s; check the role and what may use it", who, reply->status,
                                 reply->status == 200 ? " with something else than credentials" : "");
    return bfr_s3_fetch_fail(fetch, "%s cannot be asked: %s; check that it can be reached from here", who, reply->text);
}

long bfr_s3_fetch_read_file(const char *path, char *out, size_t room)
{
    size_t length = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    out[0] = '\0';
    if (fd < 0)
        return -1;
    while (length + 1 < room && (got = read(fd, out + length, room - 1 - length)) > 0)
        length += (size_t)got;
    int error = got < 0 ? errno : length + 1 == room ? EFBIG : 0;
    close(fd);
    while (length > 0 && strchr(" \t\r\n", out[length - 1]) != NULL)
        length--;
    out[length] = '\0';
    errno = error;
    return error == 0 ? (long)length : -1;
}
