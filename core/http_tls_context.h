// SPDX-License-Identifier: Apache-2.0
// Certificate, key and authorities of one port, as OpenSSL wants them, and their exchange while connections use them.
#ifndef BFR_CORE_HTTP_TLS_CONTEXT_H
#define BFR_CORE_HTTP_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include <bfr/status.h>

#include "config_diag.h"
#include "config_settings.h"

struct bfr_tls;

// Load the files. `section` ("webhook.tls") stands in messages. *out is NULL, and all is well, when no certificate is
// configured. [main]
BFR_MUST_CHECK uint32_t bfr_tls_new(const struct bfr_tls_settings *settings, const char *section, struct bfr_tls **out,
                                    struct bfr_err *err);
void bfr_tls_free(struct bfr_tls *tls); // NULL is allowed

// What is to take the place of `tls`, and its exchange: connections that are open keep what they began with. Both NULL, and all
// is well, when `tls` is NULL. [main]
BFR_MUST_CHECK uint32_t bfr_tls_prepare(const struct bfr_tls *tls, const struct bfr_tls_settings *settings,
                                        SSL_CTX **out, struct bfr_err *err);
void bfr_tls_exchange(struct bfr_tls *tls, SSL_CTX *context);

// The server's side of a new connection; NULL when memory is short. [any]
SSL *bfr_tls_session(struct bfr_tls *tls);

// Do the files go together, and are they fit for use? `places`: of certificate, key and client_ca, in this order. [main]
void bfr_tls_check(const struct bfr_tls_settings *settings, const char *section, const struct bfr_place places[3],
                   struct bfr_diag *diag);

// The oldest error in OpenSSL's queue as text for a log; empties the queue. [any]
const char *bfr_tls_error(char *room, size_t size);

#endif
