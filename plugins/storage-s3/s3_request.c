// SPDX-License-Identifier: Apache-2.0
// See s3_request.h.
#include "s3_request.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static bool is_unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

size_t bfr_s3_encode(const char *text, bool keep_slash, char *out, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0;

    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        bool plain = is_unreserved(*at) || (keep_slash && *at == '/');
        if (room < length + (plain ? 2 : 4)) {
            out[0] = '\0';
            return 0;
        }
        if (plain) {
            out[length++] = (char)*at;
            continue;
        }
        out[length++] = '%';
        out[length++] = digits[*at >> 4];
        out[length++] = digits[*at & 15];
    }
    out[length] = '\0';
    return length;
}

void bfr_s3_request_begin(struct s3_request *request, const char *method, const char *query, const uint8_t *payload)
{
    request->method = method;
    request->query = query;
    request->path[0] = '\0';
    request->count = request->used = 0;
    request->overflow = false;
    if (payload != NULL)
        bfr_hex(payload, 32, request->payload);
    else
        memcpy(request->payload, EMPTY_SHA256, sizeof EMPTY_SHA256);
}

void bfr_s3_request_add_segment(struct s3_request *request, const char *text)
{
    size_t length = strlen(request->path);

    if (length + 2 > sizeof request->path) {
        request->overflow = true;
        return;
    }
    request->path[length] = '/';
    request->path[length + 1] = '\0';
    if (bfr_s3_encode(text, true, request->path + length + 1, sizeof request->path - length - 1) == 0 && *text != '\0')
        request->overflow = true;
}

void bfr_s3_request_add(struct s3_request *request, const char *name, const char *format, ...)
{
    char *line = request->text + request->used;
    size_t room = sizeof request->text - request->used;
    va_list args;
    int head = snprintf(line, room, "%s: ", name);

    if (head < 0 || (size_t)head >= room || request->count == S3_FIELDS_MAX) {
        request->overflow = true;
        return;
    }
    va_start(args, format);
    int value = vsnprintf(line + head, room - (size_t)head, format, args);
    va_end(args);
    if (value < 0 || (size_t)value >= room - (size_t)head) {
        request->overflow = true;
        return;
    }
    request->lines[request->count++] = line;
    request->used += (size_t)head + (size_t)value + 1;
}

// Values with blanks at an end or several in a row are normalised for the signature, and not by every store alike.
static bool is_plain(const char *value)
{
    for (const char *at = value; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7E || (*at == ' ' && at[1] == ' '))
            return false;
    return value[0] != '\0' && value[0] != ' ' && value[strlen(value) - 1] != ' ' && strncmp(value, "=?", 2) != 0;
}

void bfr_s3_request_add_meta(struct s3_request *request, const char *name, const char *value)
{
    char full[64];
    unsigned char base64[4 * ((BFR_FILENAME_MAX + 64) / 3) + 8];
    size_t length = strlen(value);

    snprintf(full, sizeof full, "x-amz-meta-%s", name);
    if (is_plain(value)) {
        bfr_s3_request_add(request, full, "%s", value);
    } else if (length > 0 && 4 * ((length + 2) / 3) < sizeof base64) {
        EVP_EncodeBlock(base64, (const unsigned char *)value, (int)length);
        bfr_s3_request_add(request, full, "=?UTF-8?B?%s?=", (const char *)base64);
    }
}

struct s3_mark bfr_s3_request_mark(const struct s3_request *request)
{
    return (struct s3_mark){.count = request->count, .used = request->used};
}

void bfr_s3_request_rewind(struct s3_request *request, struct s3_mark mark)
{
    OPENSSL_cleanse(request->text + mark.used, request->used - mark.used);
    request->count = mark.count;
    request->used = mark.used;
}
