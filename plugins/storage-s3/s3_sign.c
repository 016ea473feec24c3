// SPDX-License-Identifier: Apache-2.0
// See s3_sign.h; the steps are those of "Authenticating Requests (AWS Signature Version 4)".
#include "s3_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <bfr/text.h>

#define LINES_MAX 64

void bfr_s3_sign_time(int64_t unix_ns, char out[S3_TIME_SIZE])
{
    time_t seconds = (time_t)(unix_ns / 1000000000);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(out, S3_TIME_SIZE, "%Y%m%dT%H%M%SZ", &utc);
}

void bfr_s3_signer_clear(struct s3_signer *signer)
{
    OPENSSL_cleanse(signer, sizeof *signer);
}

static size_t name_length(const char *line)
{
    return strcspn(line, ":");
}

// By name alone; ':' sorts behind the characters that a name may continue with, so whole lines would not do.
static int compare_lines(const void *a, const void *b)
{
    const char *left = *(const char *const *)a;
    const char *right = *(const char *const *)b;
    size_t left_length = name_length(left);
    size_t right_length = name_length(right);
    size_t least = left_length < right_length ? left_length : right_length;
    int order = memcmp(left, right, least);

    return order != 0 ? order : (left_length > right_length) - (left_length < right_length);
}

static bool add(EVP_MD_CTX *hash, const char *text, size_t length)
{
    return EVP_DigestUpdate(hash, text, length) == 1;
}

static bool add_text(EVP_MD_CTX *hash, const char *text)
{
    return add(hash, text, strlen(text));
}

// "name:value\n", blanks around the value removed, several in a row made one.
static bool add_header(EVP_MD_CTX *hash, const char *line)
{
    size_t length = name_length(line);
    const char *at = line + length + 1;
    bool ok = add(hash, line, length) && add(hash, ":", 1);

    at += strspn(at, " \t");
    while (ok && *at != '\0') {
        size_t word = strcspn(at, " \t");
        ok = add(hash, at, word);
        at += word;
        at += strspn(at, " \t");
        if (*at != '\0')
            ok = ok && add(hash, " ", 1);
    }
    return ok && add(hash, "\n", 1);
}

static bool add_names(EVP_MD_CTX *hash, const char *const *lines, size_t count)
{
    bool ok = true;

    for (size_t i = 0; ok && i < count; i++)
        ok = (i == 0 || add(hash, ";", 1)) && add(hash, lines[i], name_length(lines[i]));
    return ok;
}

// Task 1: the hash of the canonical request.
static bool hash_request(const struct s3_signable *what, const char *const *lines, char out[65])
{
    uint8_t digest[32];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool ok = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 && add_text(hash, what->method) &&
              add(hash, "\n", 1) && add_text(hash, what->path) && add(hash, "\n", 1) && add_text(hash, what->query) &&
              add(hash, "\n", 1);

    for (size_t i = 0; ok && i < what->count; i++)
        ok = add_header(hash, lines[i]);
    ok = ok && add(hash, "\n", 1) && add_names(hash, lines, what->count) && add(hash, "\n", 1) &&
         add_text(hash, what->payload) && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
    EVP_MD_CTX_free(hash);
    if (ok)
        bfr_hex(digest, sizeof digest, out);
    return ok;
}

static bool hmac(const void *key, size_t key_size, const char *text, uint8_t out[32])
{
    return HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), out, NULL) != NULL;
}

static bool is_current(const struct s3_signer *signer, const struct s3_signable *what, const uint8_t secret_sha256[32])
{
    return signer->ready && strncmp(signer->date, what->time, 8) == 0 && strcmp(signer->region, what->region) == 0 &&
           strcmp(signer->service, what->service) == 0 && memcmp(signer->secret_sha256, secret_sha256, 32) == 0;
}

// Task 3, first half: the key for this day, region and service.
static bool make_key(struct s3_signer *signer, const struct s3_signable *what)
{
    char secret[512];
    uint8_t sha256[32];
    int length = snprintf(secret, sizeof secret, "AWS4%s", what->secret_key);
    bool ok = length > 0 && (size_t)length < sizeof secret && strlen(what->region) < sizeof signer->region &&
              strlen(what->service) < sizeof signer->service;

    if (ok)
        SHA256((const unsigned char *)secret, (size_t)length, sha256);
    if (ok && !is_current(signer, what, sha256)) {
        memcpy(signer->date, what->time, 8);
        memcpy(signer->region, what->region, strlen(what->region) + 1);
        memcpy(signer->service, what->service, strlen(what->service) + 1);
        memcpy(signer->secret_sha256, sha256, sizeof sha256);
        ok = hmac(secret, (size_t)length, signer->date, signer->key) &&
             hmac(signer->key, 32, signer->region, signer->key) &&
             hmac(signer->key, 32, signer->service, signer->key) && hmac(signer->key, 32, "aws4_request", signer->key);
        signer->ready = ok;
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return ok;
}

// "a;b;c" of all names into out. False when it does not fit.
static bool join_names(const char *const *lines, size_t count, char *out, size_t room)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        int length =
            snprintf(out + used, room - used, "%s%.*s", i == 0 ? "" : ";", (int)name_length(lines[i]), lines[i]);
        if (length < 0 || (size_t)length >= room - used)
            return false;
        used += (size_t)length;
    }
    return true;
}

bool bfr_s3_sign(struct s3_signer *signer, const struct s3_signable *what, char out[S3_AUTHORIZATION_SIZE])
{
    const char *lines[LINES_MAX];
    char request_hash[65], scope[160], to_sign[320], names[1024], hex[65];
    uint8_t signature[32];

    if (what->count > LINES_MAX)
        return false;
    memcpy(lines, what->lines, what->count * sizeof *lines);
    qsort(lines, what->count, sizeof *lines, compare_lines);
    int scope_length =
        snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", what->time, what->region, what->service);
    if (scope_length < 0 || (size_t)scope_length >= sizeof scope || !hash_request(what, lines, request_hash) ||
        !make_key(signer, what) || !join_names(lines, what->count, names, sizeof names))
        return false;
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", what->time, scope, request_hash);
    if (!hmac(signer->key, sizeof signer->key, to_sign, signature))
        return false;
    bfr_hex(signature, sizeof signature, hex);
    int length =
        snprintf(out, S3_AUTHORIZATION_SIZE, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                 what->access_key, scope, names, hex);
    return length > 0 && length < S3_AUTHORIZATION_SIZE;
}
