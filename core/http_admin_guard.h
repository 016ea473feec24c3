// SPDX-License-Identifier: Apache-2.0
// Who may use the guarded pages: whoever has the token, or, where none is configured, somebody on this machine. Pure, but
// for what it reads of the request.
#ifndef BFR_CORE_HTTP_ADMIN_GUARD_H
#define BFR_CORE_HTTP_ADMIN_GUARD_H

#include <stdbool.h>
#include <stdint.h>

// What a request says of itself; texts NULL when the header is absent.
struct bfr_admin_claim {
    const char *authorization;
    const char *host;
    const char *origin;
    const char *fetch_site; // Sec-Fetch-Site
    const char *content_type;
    uint8_t peer[16]; // IPv4 as ::ffff:a.b.c.d
    bool peer_known;
    bool changes; // the method changes something
    bool has_body;
};

struct bfr_admin_verdict {
    int status;        // 0: go on
    const char *error; // static
};

// `token` "": none is configured.
struct bfr_admin_verdict bfr_admin_guard(const char *token, const struct bfr_admin_claim *claim);

#endif
