// SPDX-License-Identifier: Apache-2.0
// Embedded files as replies, and the policy that a page comes with. Runs on the admin thread only; the files are constants.
#include "http_admin_embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "http_admin_state.h"

#define SOURCE_MAX 64 // 'sha256-' and 44 characters, in quotes

// The one place from which a browser takes what stands between the tags: its own hash (CSP level 3, section 6.7.2).
// Without such tags: no place.
static void allow_between(const struct bfr_embedded *page, const char *open, const char *close, char *out)
{
    const char *end = page->data + page->size;
    const char *from = memmem(page->data, page->size, open, strlen(open));
    from = from != NULL ? from + strlen(open) : end;
    const char *to = memmem(from, (size_t)(end - from), close, strlen(close));
    unsigned char digest[SHA256_DIGEST_LENGTH], text[4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1];
    memcpy(out, "'none'", sizeof "'none'");
    if (to == NULL)
        return;
    SHA256((const unsigned char *)from, (size_t)(to - from), digest);
    (void)EVP_EncodeBlock(text, digest, sizeof digest);
    snprintf(out, SOURCE_MAX, "'sha256-%s'", (const char *)text);
}

void bfr_admin_reply_embedded(struct evhttp_request *request, const char *content_type, const struct bfr_embedded *file)
{
    char *copy = malloc(file->size);
    if (copy != NULL)
        memcpy(copy, file->data, file->size);
    bfr_admin_reply_body(request, 200, content_type, copy, file->size);
}

void bfr_admin_reply_page(struct evhttp_request *request, const struct bfr_embedded *page)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char style[SOURCE_MAX], script[SOURCE_MAX], policy[512];
    allow_between(page, "<style>", "</style>", style);
    allow_between(page, "<script>", "</script>", script);
    snprintf(policy, sizeof policy,
             "default-src 'none'; style-src %s; script-src %s; connect-src 'self'; img-src 'self' data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
             "trusted-types 'none'",
             style, script);
    evhttp_add_header(headers, "Content-Security-Policy", policy);
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    bfr_admin_reply_embedded(request, "text/html; charset=utf-8", page);
}

void bfr_admin_page_docs(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)admin, (void)parameter;
    bfr_admin_reply_page(request, &bfr_embedded_docs);
}

void bfr_admin_page_dashboard(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)admin, (void)parameter;
    bfr_admin_reply_page(request, &bfr_embedded_dashboard);
}

void bfr_admin_page_openapi(struct bfr_http_admin *admin, struct evhttp_request *request, const char *parameter)
{
    (void)admin, (void)parameter;
    bfr_admin_reply_embedded(request, "application/json", &bfr_embedded_openapi);
}
