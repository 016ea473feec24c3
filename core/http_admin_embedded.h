// SPDX-License-Identifier: Apache-2.0
// What the API port serves from the binary itself: files of this tree that the build put in (cmake/BfrEmbed.cmake).
#ifndef BFR_CORE_HTTP_ADMIN_EMBEDDED_H
#define BFR_CORE_HTTP_ADMIN_EMBEDDED_H

#include <stddef.h>

struct evhttp_request;

struct bfr_embedded {
    const char *data; // no zero at its end
    size_t size;
};

extern const struct bfr_embedded bfr_embedded_openapi, bfr_embedded_docs, bfr_embedded_dashboard;

// 200 with the file as it is. [admin]
void bfr_admin_reply_embedded(struct evhttp_request *request, const char *content_type,
                              const struct bfr_embedded *file);

// The same for a page with at most one <style> and one <script>, which a browser then runs, and nothing else: it may ask
// this server for data, and no other for anything. [admin]
void bfr_admin_reply_page(struct evhttp_request *request, const struct bfr_embedded *page);

#endif
